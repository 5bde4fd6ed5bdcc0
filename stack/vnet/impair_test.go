package vnet_test

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// each runs fn for both directions of a cable between a and b: the impairment
// is set where a enters the switch, or where b leaves it.
func each(t *testing.T, im vnet.Impairment, fn func(t *testing.T, l *lan, stats func() vnet.Counters)) {
	t.Helper()
	for _, d := range []vnet.Direction{vnet.Ingress, vnet.Egress} {
		t.Run([]string{"ingress", "egress"}[d], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN(t, vnet.Config{Seed: 7})
				defer l.sw.Close()
				p := l.a
				if d == vnet.Egress {
					p = l.b
				}
				if err := p.SetImpairment(d, im); err != nil {
					t.Fatal(err)
				}
				fn(t, l, func() vnet.Counters {
					if d == vnet.Egress {
						return p.Stats().Rx
					}
					return p.Stats().Tx
				})
			})
		})
	}
}

func TestLossIsAsLikelyAsAsked(t *testing.T) {
	each(t, vnet.Impairment{Loss: 0.1}, func(t *testing.T, l *lan, stats func() vnet.Counters) {
		numbered(t, l.a, 1000, 200)
		got := len(numbers(t, l.b))
		if got < 860 || got > 940 {
			t.Errorf("%d of 1000 frames arrived with 10 %% loss", got)
		}
		if d := stats().Dropped[vnet.DropLoss]; int(d) != 1000-got {
			t.Errorf("%d losses counted, %d happened", d, 1000-got)
		}
	})
}

func TestSmallLossSparesLargeFrames(t *testing.T) {
	each(t, vnet.Impairment{SmallLoss: 1}, func(t *testing.T, l *lan, stats func() vnet.Counters) {
		numbered(t, l.a, 10, vnet.SmallFrame-14)
		numbered(t, l.a, 10, vnet.SmallFrame-13)
		if got := len(numbers(t, l.b)); got != 10 || stats().Dropped[vnet.DropLoss] != 10 {
			t.Errorf("%d frames arrived, want the 10 large ones; %+v", got, stats())
		}
	})
}

func TestDuplicate(t *testing.T) {
	each(t, vnet.Impairment{Duplicate: 1}, func(t *testing.T, l *lan, stats func() vnet.Counters) {
		numbered(t, l.a, 3, 50)
		if got := numbers(t, l.b); !slices.Equal(got, []int{0, 0, 1, 1, 2, 2}) || stats().Duplicated != 3 {
			t.Errorf("received %v; %+v", got, stats())
		}
	})
}

func TestCorruptInvertsOneBitBehindTheAddresses(t *testing.T) {
	each(t, vnet.Impairment{Corrupt: 1}, func(t *testing.T, l *lan, stats func() vnet.Counters) {
		want := frame(macB, macA, "some payload")
		for range 50 {
			send(t, l.a, want)
		}
		for _, got := range recv(t, l.b) {
			n := 0
			for i := range want {
				n += bits.OnesCount8(got[i] ^ want[i])
			}
			if n != 1 || !bytes.Equal(got[:12], want[:12]) {
				t.Errorf("%d bits differ in % x", n, got)
			}
		}
		if stats().Corrupted != 50 {
			t.Errorf("%+v", stats())
		}
	})
}

func TestReorderHoldsFramesBack(t *testing.T) {
	each(t, vnet.Impairment{Reorder: 0.2, ReorderDelay: 2 * time.Millisecond}, func(t *testing.T, l *lan, stats func() vnet.Counters) {
		for i := range 100 {
			send(t, l.a, frame(macB, macA, string([]byte{0, 0, 0, byte(i)})))
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		got := numbers(t, l.b)
		if len(got) != 100 || slices.IsSorted(got) {
			t.Errorf("received %v", got)
		}
		for i, n := range got {
			if i-n > 4 || n-i > 25 {
				t.Errorf("frame %d came as number %d", n, i)
			}
		}
		if r := stats().Reordered; r < 8 || r > 35 {
			t.Errorf("%d frames reordered of 100 at 20 %%", r)
		}
	})
}

func TestDelayAndJitterKeepOrder(t *testing.T) {
	im := vnet.Impairment{Delay: 40 * time.Millisecond, Jitter: 20 * time.Millisecond}
	each(t, im, func(t *testing.T, l *lan, _ func() vnet.Counters) {
		start := time.Now()
		numbered(t, l.a, 50, 60)
		f := make([]link.Frame, 1)
		for i := range 50 {
			for {
				n, err := l.b.ReadFrames(f)
				if err != nil {
					t.Fatal(err)
				}
				if n == 1 {
					break
				}
				if err := l.b.Wait(time.Time{}); err != nil {
					t.Fatal(err)
				}
			}
			if got := int(f[0].Head[17]); got != i {
				t.Fatalf("frame %d came as number %d", got, i)
			}
			if d := time.Since(start); d < 40*time.Millisecond || d > 60*time.Millisecond {
				t.Errorf("frame %d took %v", i, d)
			}
			if d := time.Since(f[0].Time); d != 0 {
				t.Errorf("frame %d was stamped %v before it could be read", i, d)
			}
		}
	})
}

func TestRateLimitPacesAndDrops(t *testing.T) {
	// 1 Mbit/s: a frame of 1250 octets takes 10 ms.
	im := vnet.Impairment{Rate: 1_000_000, RateQueue: 5 * 1250}
	each(t, im, func(t *testing.T, l *lan, stats func() vnet.Counters) {
		numbered(t, l.a, 10, 1250-14)
		for i := range 6 {
			time.Sleep(10*time.Millisecond - time.Nanosecond)
			synctest.Wait()
			if n := numbers(t, l.b); len(n) != 0 {
				t.Errorf("frame %v came early", n)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if n := numbers(t, l.b); len(n) != 1 || n[0] != i {
				t.Errorf("after %d ms: %v", 10*(i+1), n)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := numbers(t, l.b); len(n) != 0 || stats().Dropped[vnet.DropRate] != 4 {
			t.Errorf("then %v; %+v", n, stats())
		}
	})
}

func TestMTUBlackHole(t *testing.T) {
	each(t, vnet.Impairment{MTU: 1000}, func(t *testing.T, l *lan, stats func() vnet.Counters) {
		tag := ethernet.VLAN{Inner: 9}
		send(t, l.a, frame(macB, macA, string(make([]byte, 1000)), tag), frame(macB, macA, string(make([]byte, 1001))))
		if n := len(recv(t, l.b)); n != 1 || stats().Dropped[vnet.DropTooBig] != 1 {
			t.Errorf("%d frames arrived; %+v", n, stats())
		}
	})
}

func TestTrailingBytes(t *testing.T) {
	each(t, vnet.Impairment{Trailing: 9}, func(t *testing.T, l *lan, _ func() vnet.Counters) {
		want := frame(macB, macA, string(make([]byte, 1500)))
		seen := make(map[int]bool)
		for range 200 {
			send(t, l.a, want)
			got := recv(t, l.b)
			if len(got) != 1 || !bytes.HasPrefix(got[0], want) {
				t.Fatalf("%d frames arrived, or not with the frame in front", len(got))
			}
			seen[len(got[0])-len(want)] = true
		}
		for n := range 10 {
			if !seen[n] {
				t.Errorf("never %d trailing octets", n)
			}
		}
		if len(seen) != 10 {
			t.Errorf("trailing lengths %v", seen)
		}
	})
}

func TestOutageOnceAfterOneMegabyte(t *testing.T) {
	each(t, vnet.Impairment{OutageAfter: 1_000_000}, func(t *testing.T, l *lan, stats func() vnet.Counters) {
		numbered(t, l.a, 1000, 986) // exactly 1 MB
		if n := len(numbers(t, l.b)); n != 1000 {
			t.Errorf("%d frames before the outage", n)
		}
		numbered(t, l.a, 5, 986)
		time.Sleep(time.Second - time.Nanosecond)
		numbered(t, l.a, 5, 986)
		if n := len(numbers(t, l.b)); n != 0 || stats().Dropped[vnet.DropOutage] != 10 {
			t.Errorf("%d frames during the outage; %+v", n, stats())
		}
		time.Sleep(time.Nanosecond)
		numbered(t, l.a, 1000, 1400)
		if n := len(numbers(t, l.b)); n != 1000 {
			t.Errorf("%d frames after the outage", n)
		}
	})
}

func TestSameSeedSameFate(t *testing.T) {
	im := vnet.Impairment{Loss: 0.3, Duplicate: 0.1, Corrupt: 0.2, Trailing: 9}
	run := func(seed uint64, others bool) string {
		l := newLAN(t, vnet.Config{Seed: seed})
		l.a.SetImpairment(vnet.Ingress, im)
		l.b.SetImpairment(vnet.Egress, im)
		send(t, l.b, frame(ethernet.Broadcast, macB, ""))
		var got []string
		for i := range 100 {
			send(t, l.a, frame(macB, macA, fmt.Sprint(i)))
			for _, b := range recv(t, l.b) {
				got = append(got, string(b))
			}
			if others { // what a third station does changes nothing between two
				send(t, l.c, frame(macB, macC, "noise"))
				recv(t, l.b)
			}
		}
		return fmt.Sprintf("%q", got)
	}
	if run(1, false) != run(1, true) {
		t.Error("the same seed gave two histories")
	}
	if run(1, false) == run(2, false) {
		t.Error("two seeds gave the same history")
	}
}

func TestDelayedIngressDoesNotHoldOthersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, vnet.Config{})
		defer l.sw.Close()
		l.a.SetImpairment(vnet.Ingress, vnet.Impairment{Delay: time.Hour})
		l.b.SetImpairment(vnet.Egress, vnet.Impairment{Delay: time.Second, Rate: 1e6})
		send(t, l.a, frame(macB, macA, "late"))
		send(t, l.c, frame(macB, macC, "early"))
		time.Sleep(2 * time.Second)
		expect(t, l.b, "early")
		time.Sleep(time.Hour)
		synctest.Wait()
		expect(t, l.b, "late")
	})
}

func TestHealedCableDoesNotOvertake(t *testing.T) {
	each(t, vnet.Impairment{Delay: time.Second}, func(t *testing.T, l *lan, _ func() vnet.Counters) {
		send(t, l.a, frame(macB, macA, "1"))
		l.a.SetImpairment(vnet.Ingress, vnet.Impairment{})
		l.b.SetImpairment(vnet.Egress, vnet.Impairment{})
		send(t, l.a, frame(macB, macA, "2"))
		expect(t, l.b)
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, l.b, "1", "2")
		send(t, l.a, frame(macB, macA, "3"))
		expect(t, l.b, "3")
	})
}
