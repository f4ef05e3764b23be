// Package identity names processes and turns boot time into calendar time.
package identity

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Boot is the part of the boot id that begins every process id.
type Boot string

const bootIDFile = "/proc/sys/kernel/random/boot_id"

// ReadBoot reads the running kernel's boot id.
func ReadBoot() (Boot, error) {
	text, err := os.ReadFile(bootIDFile)
	if err != nil {
		return "", fmt.Errorf("cannot read the boot id: %w", err)
	}
	return shorten(string(text)), nil
}

func shorten(id string) Boot {
	digits := strings.ReplaceAll(strings.TrimSpace(id), "-", "")
	return Boot(digits[:min(len(digits), 8)])
}

// AppendProcess writes a process id: boot, start time, process number. A
// process number that is used again comes with another start time, so ids
// are distinct, and nothing has to be remembered to make one.
func (b Boot) AppendProcess(to []byte, start uint64, pid uint32) []byte {
	to = append(to, b...)
	to = append(to, '-')
	to = strconv.AppendUint(to, start, 10)
	to = append(to, '-')
	return strconv.AppendUint(to, uint64(pid), 10)
}

// BootToUnix gives the nanoseconds to add to the boot clock to get Unix time.
func BootToUnix() (int64, error) {
	var boot, real unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return 0, err
	}
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &real); err != nil {
		return 0, err
	}
	return real.Nano() - boot.Nano(), nil
}

// BootNow reads the boot clock.
func BootNow() uint64 {
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return 0
	}
	return uint64(boot.Nano())
}
