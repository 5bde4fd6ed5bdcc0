package guest

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// slewLimit is the largest offset that the clock makes up for by going faster or
// slower (by 500 ppm: this much takes 17 minutes); with a larger one it jumps.
const slewLimit = 500 * time.Millisecond

// adjOffsetSingleshot is ADJ_OFFSET_SINGLESHOT of the kernel's
// include/uapi/linux/timex.h: an offset in microseconds, as adjtime(3) has it.
const adjOffsetSingleshot = 0x8001

// AdjustClock moves this machine's clock by offset: gently while offset is at most
// half a second, else at once. It needs CAP_SYS_TIME. What is measured by the
// monotonic clock, timers and connections, does not notice.
func AdjustClock(offset time.Duration) error {
	if offset.Abs() <= slewLimit {
		_, err := unix.Adjtimex(&unix.Timex{Modes: adjOffsetSingleshot, Offset: offset.Microseconds()})
		return os.NewSyscallError("adjtimex", err)
	}
	ts := unix.NsecToTimespec(time.Now().Add(offset).UnixNano())
	return os.NewSyscallError("clock_settime", unix.ClockSettime(unix.CLOCK_REALTIME, &ts))
}
