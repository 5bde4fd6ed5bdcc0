package socketagent

import (
	"encoding/binary"
	"math"
)

// soMaxPacingRate bounds the octets that a connection sends in a second. A value of
// 32 bits whose bits are all set, or of 64, is no bound, as from the start.
const soMaxPacingRate = 47

const noPacing = math.MaxUint64

func (s *sock) setPacing(v []byte) error {
	n, err := number(v)
	if err != nil {
		return err
	}
	rate := uint64(uint32(n))
	if uint32(n) == math.MaxUint32 {
		rate = noPacing
	}
	if len(v) >= 8 {
		rate = binary.LittleEndian.Uint64(v)
	}
	s.opt.pacing = rate
	if s.conn != nil {
		_ = s.conn.SetMaxPacingRate(s.opt.pacingRate())
	}
	return nil
}

// pacingRate is the bound as the stack has it.
func (o *options) pacingRate() uint64 {
	if o.pacing == noPacing {
		return 0
	}
	return o.pacing
}

// getPacing returns the option as who asks for length octets gets it.
func (o *options) getPacing(length int32) []byte {
	if length >= 8 {
		return binary.LittleEndian.AppendUint64(nil, o.pacing)
	}
	return binary.LittleEndian.AppendUint32(nil, uint32(min(o.pacing, math.MaxUint32)))
}
