package ipv4

// Fragment cuts a datagram into packets of at most mtu octets and calls emit
// for each, in order (RFC 791 §3.2). A datagram that fits is emitted as it is.
// opts are well formed; fragments after the first carry only the copied ones.
// part aliases payload. h may itself be a fragment that is cut further.
//
// ErrNeedFrag means that the packet does not fit and DF is set, ErrTooLong that
// no IPv4 packet can hold it, ErrMTUTooSmall that mtu has no room for the header
// and 8 octets; nothing has been emitted then.
func Fragment(h Header, opts, payload []byte, mtu int, emit func(h Header, opts, part []byte)) error {
	hlen := MinHeaderLen + (len(opts)+3)&^3
	if hlen > MaxHeaderLen || int(h.Offset)+hlen+len(payload) > MaxLen {
		return ErrTooLong
	}
	if hlen+len(payload) <= mtu {
		emit(h, opts, payload)
		return nil
	}
	if h.DF {
		return ErrNeedFrag
	}
	if mtu < hlen+8 {
		return ErrMTUTooSmall
	}
	last := !h.MF
	for first := true; len(payload) > 0; first = false {
		if !first && len(opts) > 0 {
			opts = copiedOptions(opts)
			hlen = MinHeaderLen + (len(opts)+3)&^3
		}
		n := len(payload)
		if hlen+n > mtu {
			n = (mtu - hlen) &^ 7
		}
		h.MF = n < len(payload) || !last
		emit(h, opts, payload[:n])
		h.Offset += uint16(n)
		payload = payload[n:]
	}
	return nil
}
