package tcp

import (
	"math"
	"time"
)

// millis is a length of time in the four octets that an idle connection has for
// it: at most 49 days.
type millis uint32

// inMillis rounds up.
func inMillis(d time.Duration) millis {
	return millis(min((d+time.Millisecond-1)/time.Millisecond, math.MaxUint32))
}

func (m millis) duration() time.Duration { return time.Duration(m) * time.Millisecond }

// keepAlive is KeepAlive with its defaults.
type keepAlive struct {
	idle, interval millis
	probes         uint8
}

func (k KeepAlive) compact() keepAlive {
	return keepAlive{inMillis(max(k.Idle, 0)), inMillis(or(k.Interval, defaultKeepInterval)), uint8(min(or(k.Probes, defaultKeepProbes), 255))}
}
