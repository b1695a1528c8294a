package productfile

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"strings"
)

// RejectsWriter writes refused rows as they came, each with the reason in front, so that
// they can be corrected and imported. The file is UTF-8 and has the delimiter of the file
// that is imported.
type RejectsWriter struct {
	file *os.File
	out  *bufio.Writer
	from *Reader
}

// OpenRejects opens a file for refused rows of source. It creates the file, or continues it after
// its first size bytes if size is not 0.
func OpenRejects(name string, source Source, format Format, size int64) (*RejectsWriter, error) {
	in, err := source()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	from, err := NewReader(in, format)
	if err != nil {
		return nil, err
	}
	flags := os.O_WRONLY
	if size == 0 {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(name, flags, 0o644)
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(size); err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	w := &RejectsWriter{file: f, out: bufio.NewWriter(f), from: from}
	if from.csv != nil && size == 0 {
		w.writeCSV(reasonColumn, w.header())
	}
	return w, nil
}

// Flush writes the rows to the file and returns its size.
func (w *RejectsWriter) Flush() (int64, error) {
	if err := w.out.Flush(); err != nil {
		return 0, err
	}
	return w.file.Seek(0, io.SeekCurrent)
}

// header returns the header of the rows.
func (w *RejectsWriter) header() string {
	if w.from.rawHead != nil {
		return string(w.from.rawHead)
	}
	return strings.Join(w.from.header, string(w.from.about.delimiter))
}

// Write writes a refused row.
func (w *RejectsWriter) Write(row Row, reason string) error {
	if w.from.csv != nil {
		w.writeCSV(reason, string(row.Raw))
		return nil
	}
	text, err := marshal(reason)
	if err != nil {
		return err
	}
	_, _ = w.out.WriteString(`{"` + reasonColumn + `":`)
	_, _ = w.out.Write(text)
	object, _ := strings.CutPrefix(strings.TrimSpace(string(row.Raw)), "{")
	switch {
	case !json.Valid(row.Raw):
		text, err := marshal(string(row.Raw))
		if err != nil {
			return err
		}
		_, _ = w.out.WriteString(`,"row":` + string(text) + "}")
	case strings.TrimSpace(object) == "}":
		_, _ = w.out.WriteString(object)
	default:
		_, _ = w.out.WriteString("," + strings.ReplaceAll(object, "\n", " "))
	}
	return w.out.WriteByte('\n')
}

// writeCSV writes a row of cells. Close returns the error of a buffered write.
func (w *RejectsWriter) writeCSV(reason, raw string) {
	delimiter := string(w.from.about.delimiter)
	if strings.ContainsAny(reason, "\"\r\n"+delimiter) {
		reason = `"` + strings.ReplaceAll(reason, `"`, `""`) + `"`
	}
	_, _ = w.out.WriteString(reason + delimiter + raw + "\n")
}

// Close completes the file.
func (w *RejectsWriter) Close() error {
	if err := w.out.Flush(); err != nil {
		w.file.Close()
		return err
	}
	return w.file.Close()
}
