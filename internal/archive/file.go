package archive

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

// A file is gzip-compressed text of one JSON object a line: a header, the events
// in the order of their seq, and a footer. docs/operations/retention.md describes
// it for operators.
const format = "catalog-journal/1"

const suffix = ".ndjson.gz"

// header is the first line of a file.
type header struct {
	Format string `json:"format"`
	Shard  int32  `json:"shard"`
	From   int64  `json:"from"` // seq of the first event
	To     int64  `json:"to"`   // seq of the last event
}

// eventLine is a line with an event.
type eventLine struct {
	Product string          `json:"product"` // ids as people write them; event has their bytes
	Command string          `json:"command"`
	Event   json.RawMessage `json:"event"` // catalog.v1.Event in the JSON form of protobuf
}

// footer is the last line of a file.
type footer struct {
	Events int    `json:"events"`
	SHA256 string `json:"sha256"` // of all bytes before the footer, in hexadecimal form
}

// fileName returns the name of the file of a range. Names sort by shard and seq.
func fileName(r Range) string {
	return fmt.Sprintf("journal-%04d-%012d-%012d%s", r.Shard, r.From, r.To, suffix)
}

// fileWriter writes a file.
type fileWriter struct {
	gzip   *gzip.Writer
	hash   hash.Hash
	out    *bufio.Writer // writes to gzip and hash
	events int
}

func newFileWriter(to io.Writer, r Range) (*fileWriter, error) {
	w := &fileWriter{gzip: gzip.NewWriter(to), hash: sha256.New()}
	w.out = bufio.NewWriter(io.MultiWriter(w.gzip, w.hash))
	return w, w.line(header{format, r.Shard, r.From, r.To})
}

func (w *fileWriter) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.out.Write(append(b, '\n'))
	return err
}

func (w *fileWriter) write(e catalog.Event) error {
	b, err := protojson.Marshal(wire.EventToProto(e))
	if err != nil {
		return fmt.Errorf("event %s: %w", e.Position, err)
	}
	w.events++
	return w.line(eventLine{e.Product.ID.String(), e.Command.String(), b}) // line compacts b, whose spaces vary
}

// close writes the footer. It does not close the underlying writer.
func (w *fileWriter) close() error {
	if err := w.out.Flush(); err != nil {
		return err
	}
	if err := w.line(footer{w.events, hex.EncodeToString(w.hash.Sum(nil))}); err != nil {
		return err
	}
	return errors.Join(w.out.Flush(), w.gzip.Close())
}

// check reads a file and compares it with its header and footer.
func check(path string) (footer, error) { return readLines(path, func([]byte) error { return nil }) }

// readLines calls handle with the lines of the events of a file. It returns an
// error unless the file is complete and its checksum is right; handle has then
// been called for lines that can be wrong.
func readLines(path string, handle func([]byte) error) (end footer, err error) {
	f, err := os.Open(path)
	if err != nil {
		return end, err
	}
	defer f.Close()
	damaged := func(format string, args ...any) error {
		return fmt.Errorf("%s is damaged: %w", path, fmt.Errorf(format, args...))
	}
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return end, damaged("%w", err)
	}
	in := bufio.NewReaderSize(z, 1<<20)
	var (
		sum   = sha256.New()
		last  []byte
		first header
		lines = -1 // number of lines with events
	)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if err != nil {
			return end, damaged("%w", err)
		}
		switch { // a line is known not to be the footer when the next one is read
		case lines == -1:
			if err := json.Unmarshal(line, &first); err != nil || first.Format != format {
				return end, fmt.Errorf("%s does not begin with the format %q", path, format)
			}
			lines = 0
			sum.Write(line)
			continue
		case last != nil:
			sum.Write(last)
			lines++
			if err := handle(last); err != nil {
				return end, err
			}
		}
		last = line
	}
	if err := json.Unmarshal(last, &end); err != nil {
		return end, damaged("it has no footer")
	}
	if end.SHA256 != hex.EncodeToString(sum.Sum(nil)) || end.Events != lines || int64(lines) != first.To-first.From+1 {
		return end, damaged("its checksum or number of events does not match")
	}
	return end, nil
}

// Read calls handle with the events of a file, in order. It returns an error
// unless the file is complete and its checksum is right; handle has then been
// called with events that can be wrong.
func Read(path string, handle func(catalog.Event) error) error {
	_, err := readLines(path, func(line []byte) error {
		e, err := decode(line)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return handle(e)
	})
	return err
}

func decode(line []byte) (catalog.Event, error) {
	var l eventLine
	if err := json.Unmarshal(line, &l); err != nil {
		return catalog.Event{}, err
	}
	m := &catalogv1.Event{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(l.Event, m); err != nil {
		return catalog.Event{}, err
	}
	return wire.EventFromProto(m)
}

// Print writes the lines of the events of a file to w: all of them, or those that
// contain one of the texts, such as the id of a product.
func Print(w io.Writer, path string, texts ...string) error {
	_, err := readLines(path, func(line []byte) error {
		if len(texts) > 0 && !slices.ContainsFunc(texts, func(s string) bool { return bytes.Contains(line, []byte(s)) }) {
			return nil
		}
		_, err := w.Write(line)
		return err
	})
	return err
}

// Files returns the paths of the archive files in dir, in the order of shards and
// seqs.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if e.Type()&fs.ModeType == 0 && strings.HasSuffix(e.Name(), suffix) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}
