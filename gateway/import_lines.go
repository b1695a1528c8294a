package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"catalog"
	"catalog/internal/memory"
	"catalog/internal/productfile"
)

// importLine is a line of an import, without its line end, or an entry of a JSON list.
type importLine struct {
	number  int64
	text    []byte
	tooLong bool
	held    int64 // bytes held of the share of long rows; 0 for a short line
	err     error // instead of a line: io.EOF at the end, else why reading ended

	// The next three fields are for a row of a file; its text is the patch that was
	// read from the row.
	refused error    // reason why the row has no patch
	skipped string   // kind of a row that is not a product
	notes   []string // parts of the row that were left out or changed
}

// lineReader reads the lines of an import in the background, one ahead of the window, so
// that a window can end while its client sends nothing.
type lineReader struct {
	lines chan *importLine

	ctx    context.Context
	cancel context.CancelFunc
	body   *requestBody
	from   *bufio.Reader
	list   bool                // the body is a JSON list, not lines
	format *productfile.Format // the body is a file, not lines; nil if not
	long   *memory.Share
	// holdFile takes the bytes that the reader of a file needs.
	holdFile func() error
	set      time.Time // when the deadline of the body was set last
	done     chan struct{}
}

// readLines starts to read lines from the body, of which from is a part, the entries of
// the JSON list that it is, or the rows of the file. Call stop.
func (g *Gateway) readLines(ctx context.Context, body *requestBody, from io.Reader, gzipped bool, format *productfile.Format) *lineReader {
	ctx, cancel := context.WithCancel(ctx)
	r := &lineReader{
		lines: make(chan *importLine), ctx: ctx, cancel: cancel, body: body,
		from: bufio.NewReaderSize(from, smallBody), format: format, long: g.longRows, done: make(chan struct{}),
		holdFile: func() error {
			if body == nil || body.hold(ctx, g.files, fileBytes) == nil {
				return nil
			}
			g.metrics.shedMemory.Inc()
			return problem(catalog.CodeBusy, "not accepted: too many files are imported; retry after 1 s")
		},
	}
	go r.run(gzipped)
	return r
}

// start unpacks the body, drops its byte-order mark, and recognises whether it has lines, is
// a list, or is a file: a list in an object, or objects on several lines.
func (r *lineReader) start(gzipped bool) error {
	r.setDeadline(time.Now())
	if gzipped {
		unpacked, err := unpack(r.from, maxImportBody)
		if err != nil {
			return bodyError(err)
		}
		r.from = bufio.NewReaderSize(unpacked, smallBody)
	}
	if mark, _ := r.from.Peek(3); string(mark) == "\uFEFF" {
		_, _ = r.from.Discard(3)
	}
	if r.format == nil {
		if mark, _ := r.from.Peek(2); string(mark) == "\x1F\x8B" {
			return catalog.Invalid("body", "is compressed with gzip; send Content-Encoding: gzip")
		}
		line := r.firstLine()
		text := bytes.TrimLeft(line, " \t\r\n")
		switch {
		case bytes.HasPrefix(text, []byte("[")):
			_, _ = r.from.Discard(len(line) - len(text) + 1)
			r.list = true
		case productfile.IsDocument(text):
			r.format = &productfile.Format{Kind: productfile.JSON, MaxRow: maxFileRow}
		}
	}
	if r.format != nil {
		return r.holdFile()
	}
	return nil
}

// firstLine returns the first line that is not blank, with those before it, but no more than
// fits into the buffer: a client may send a row and wait for its result. Of a list it returns
// the beginning.
func (r *lineReader) firstLine() []byte {
	for n := 1; ; n = r.from.Buffered() + 1 {
		_, err := r.from.Peek(min(n, smallBody))
		seen, _ := r.from.Peek(r.from.Buffered())
		line := bytes.TrimLeft(seen, " \t\r\n")
		if err != nil || n > smallBody || bytes.HasPrefix(line, []byte("[")) || bytes.IndexByte(line, '\n') >= 0 {
			return seen
		}
	}
}

// stop ends the reading. The connection of a client that is still sending stays open: the rest of
// the body is drained.
func (r *lineReader) stop() {
	r.cancel()
	r.body.setDeadline(time.Now().Add(stopTimeout))
	<-r.done
}

// run sends the lines, without the blank ones, and then the error that ended them.
func (r *lineReader) run(gzipped bool) {
	defer close(r.done)
	if err := r.start(gzipped); err != nil {
		r.send(&importLine{err: err})
		return
	}
	if r.format != nil {
		r.send(&importLine{err: r.runFile()})
		return
	}
	next := r.next
	if r.list {
		next = r.nextEntry
	}
	rows := 0
	for number := int64(1); ; number++ {
		l, err := next()
		l.number = number
		blank := !l.tooLong && len(bytes.TrimSpace(l.text)) == 0
		if !blank {
			rows++
		}
		if blank || !r.send(l) {
			r.long.Release(l.held)
		}
		if errors.Is(err, io.EOF) && rows == 0 && !r.list { // a program may send an empty list
			err = catalog.Invalid("body", "has no row")
		}
		if err != nil {
			r.send(&importLine{err: err})
			return
		}
		if r.ctx.Err() != nil {
			return
		}
	}
}

// send reports whether the import took the line. The next one has to arrive within
// rowTimeout; blank lines do not extend that.
func (r *lineReader) send(l *importLine) bool {
	select {
	case r.lines <- l:
		if now := time.Now(); now.Sub(r.set) > time.Second {
			r.setDeadline(now)
		}
		return true
	case <-r.ctx.Done():
		return false
	}
}

// next returns the next line, and io.EOF with the last one. It drops the text of a line
// that is too long.
func (r *lineReader) next() (*importLine, error) {
	l := &importLine{}
	for {
		part, err := r.from.ReadSlice('\n')
		switch {
		case r.ctx.Err() != nil:
			err = r.ctx.Err()
		case l.tooLong:
		case len(l.text)+len(part) > maxBody:
			r.long.Release(l.held)
			*l = importLine{tooLong: true}
		default:
			if len(l.text) > 0 && l.held == 0 { // longer than smallBody
				if e := r.hold(l); e != nil {
					return &importLine{}, e
				}
			}
			l.text = append(l.text, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			r.long.Release(l.held)
			return &importLine{}, bodyError(err)
		}
		l.text = bytes.TrimRight(l.text, "\r\n")
		return l, err
	}
}

// nextEntry returns the next entry of the list, and io.EOF with the last one. It drops the
// text of an entry that is too long.
func (r *lineReader) nextEntry() (*importLine, error) {
	l := &importLine{}
	for depth, inString, escaped := 0, false, false; ; {
		b, err := r.from.ReadByte()
		switch {
		case r.ctx.Err() != nil:
			err = r.ctx.Err()
		case errors.Is(err, io.EOF):
			err = catalog.Invalid("body", "is cut off: the list does not end")
		case err != nil:
			err = bodyError(err)
		}
		if err != nil {
			r.long.Release(l.held)
			return &importLine{}, err
		}
		switch {
		case depth == 0 && !inString && b == ',':
			return l, nil
		case depth == 0 && !inString && b == ']':
			return l, io.EOF
		case escaped:
			escaped = false
		case inString && b == '\\':
			escaped = true
		case b == '"':
			inString = !inString
		case inString:
		case b == '{', b == '[':
			depth++
		case b == '}', b == ']':
			depth--
		}
		if b == '\n' || b == '\r' { // an entry is a line in messages
			b = ' '
		}
		switch {
		case l.tooLong, len(l.text) == 0 && b == ' ':
		case len(l.text) == maxBody:
			r.long.Release(l.held)
			*l = importLine{tooLong: true}
		default:
			if len(l.text) == smallBody {
				if err := r.hold(l); err != nil {
					return &importLine{}, err
				}
			}
			l.text = append(l.text, b)
		}
	}
}

// hold takes the bytes of a long line, for which it waits until other long lines are
// settled.
func (r *lineReader) hold(l *importLine) error {
	ctx, cancel := context.WithTimeout(r.ctx, windowQueueTimeout)
	defer cancel()
	if err := r.long.Acquire(ctx, maxBody); err != nil {
		return problem(catalog.CodeBusy, "not accepted: too many imports have long lines; retry")
	}
	l.held = maxBody
	r.setDeadline(time.Now())
	return nil
}

// setDeadline gives the next row its time to arrive.
func (r *lineReader) setDeadline(now time.Time) {
	r.body.setDeadline(now.Add(rowTimeout))
	r.set = now
}
