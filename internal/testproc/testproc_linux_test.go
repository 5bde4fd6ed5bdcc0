package testproc_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"arpeggio/internal/testproc"
)

// role, when set, makes TestProcessesEndWithTheirParent the parent, which starts a
// process in the way that it names, prints who that is, and waits to be killed.
const role = "TESTPROC_ROLE"

// forever is what is started.
func forever() *exec.Cmd { return exec.Command("sleep", "1000") }

func parent(way string) {
	cmd := forever()
	var err error
	switch way {
	case "Start":
		err = testproc.Start(cmd)
	case "Guarded":
		_, err = testproc.Guarded(cmd)
	case "EndWithParent":
		cmd = exec.Command(os.Args[0], "-test.run=^TestProcessesEndWithTheirParent$")
		name, value := testproc.Env()
		cmd.Env = append(os.Environ(), role+"=child", name+"="+value)
		err = cmd.Start()
	case "child":
		testproc.EndWithParent()
		time.Sleep(time.Hour)
	}
	if err != nil {
		panic(err)
	}
	fmt.Println("started", cmd.Process.Pid)
	time.Sleep(time.Hour) // without a timer the runtime would take it for a deadlock, and end it
}

// running says whether a process runs. Who inherits a dead one may take its time to
// collect it.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestProcessesEndWithTheirParent(t *testing.T) {
	if way := os.Getenv(role); way != "" {
		parent(way)
	}
	for _, way := range []string{"Start", "Guarded", "EndWithParent"} {
		t.Run(way, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestProcessesEndWithTheirParent$")
			cmd.Env = append(os.Environ(), role+"="+way)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := testproc.Start(cmd); err != nil {
				t.Fatal(err)
			}
			pid := 0
			for s := bufio.NewScanner(out); pid == 0 && s.Scan(); {
				fmt.Sscanf(s.Text(), "started %d", &pid)
			}
			if !running(pid) {
				t.Errorf("process %d does not run", pid)
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // says that it was killed
			if pid == 0 {
				t.Fatal("nothing was started")
			}
			for end := time.Now().Add(time.Minute); running(pid); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
					t.Fatal("it outlives the process that started it")
				}
			}
		})
	}
}

// A guard that was sent away kills nobody, and a process that is stopped is gone.
func TestStop(t *testing.T) {
	cmd := forever()
	stop, err := testproc.Guarded(cmd)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	stop()
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("it ended by itself: %v", err)
	}
	if _, err := testproc.Guarded(exec.Command("/does/not/exist")); err == nil {
		t.Error("started what does not exist")
	}
}
