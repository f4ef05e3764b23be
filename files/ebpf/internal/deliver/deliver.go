// Package deliver puts a small file in its place, whole or not at all.
package deliver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Limit is the most bytes that a file may have.
const Limit = 1 << 20

const (
	fileMode   = 0o644
	folderMode = 0o755
)

// File copies a file and makes the folders above the copy, as far as the
// umask lets it. It writes nothing, and says so, where the same content is
// there already. Whoever reads meanwhile sees the old content or the new.
func File(source, destination string) (written bool, err error) {
	content, err := read(source)
	if err != nil {
		return false, err
	}
	present, err := os.ReadFile(destination)
	switch {
	case err == nil && bytes.Equal(present, content):
		return false, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("cannot compare: %w; take away what is in the place of that file", err)
	}
	folder := filepath.Dir(destination)
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return false, fmt.Errorf("cannot make the folder: %w", err)
	}
	if err := replace(folder, destination, content); err != nil {
		return false, fmt.Errorf("cannot write: %w; the folder has to be writable for user %d", err, os.Getuid())
	}
	return true, nil
}

func read(source string) ([]byte, error) {
	file, err := os.Open(source)
	if err != nil {
		return nil, fmt.Errorf("cannot read: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, Limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read: %w", err)
	}
	if len(content) > Limit {
		return nil, fmt.Errorf("%s has more than %d bytes: only small files are delivered", source, Limit)
	}
	return content, nil
}

// replace writes beside the destination, so that the rename stays within one
// file system, and leaves nothing behind where it fails.
func replace(folder, destination string, content []byte) error {
	file, err := os.CreateTemp(folder, "."+filepath.Base(destination)+"-*")
	if err != nil {
		return err
	}
	err = fill(file, content)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), destination)
	}
	if err != nil {
		// What went wrong first says more than what becomes of this.
		_ = os.Remove(file.Name())
		return err
	}
	return sync(folder)
}

func fill(file *os.File, content []byte) error {
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Chmod(fileMode); err != nil {
		return err
	}
	return file.Sync()
}

// sync makes the rename last: the name is content of the folder.
func sync(folder string) error {
	handle, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer handle.Close()
	return handle.Sync()
}
