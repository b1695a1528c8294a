package productfile

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// SourceOf returns the content of a file, unpacked if it is compressed with gzip or a ZIP
// file of one file, and the name of the content.
func SourceOf(f *os.File) (source Source, name string, err error) {
	var start [4]byte
	n, err := f.ReadAt(start[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	name = f.Name()
	switch {
	case bytes.HasPrefix(start[:n], []byte{0x1F, 0x8B}):
		return func() (io.ReadCloser, error) { return unpack(fromStart(f)) }, strings.TrimSuffix(name, ".gz"), nil
	case string(start[:n]) == "PK\x03\x04":
		packed, err := onlyFile(f)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", name, err)
		}
		return func() (io.ReadCloser, error) { return packed.Open() }, packed.Name, nil
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(fromStart(f)), nil }, name, nil
}

// gzipReader adds the name of the file to errors.
type gzipReader struct{ *gzip.Reader }

func unpack(in io.Reader) (io.ReadCloser, error) {
	r, err := gzip.NewReader(bufio.NewReader(in))
	if err != nil {
		return nil, damaged(err)
	}
	return gzipReader{r}, nil
}

func (r gzipReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged(err)
	}
	return n, err
}

func damaged(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = errors.New("it ends too early")
	}
	return fmt.Errorf("the gzip file is damaged or cut off: %w", err)
}

// fromStart returns a reader of f from its start, independent of other readers
// of f.
func fromStart(f *os.File) io.Reader { return io.NewSectionReader(f, 0, 1<<62) }

// onlyFile returns the file in a ZIP file of one file.
func onlyFile(f *os.File) (*zip.File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(f, info.Size())
	if err != nil {
		return nil, errors.New("the ZIP file is damaged or cut off")
	}
	var files []*zip.File
	for _, z := range archive.File {
		switch {
		case z.Name == "[Content_Types].xml":
			return nil, errors.New(`the file is a workbook; save it in the spreadsheet as "CSV UTF-8", and import that file`)
		case strings.HasSuffix(z.Name, "/"), strings.HasPrefix(z.Name, "__MACOSX/"), strings.HasPrefix(path.Base(z.Name), "."):
		default:
			files = append(files, z)
		}
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("the ZIP file has %d files; unpack it, and import one after the other", len(files))
	}
	return files[0], nil
}
