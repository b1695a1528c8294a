package productfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	// defaultMaxRow is the size in bytes of the longest row of a file: the longest line
	// that the server's import accepts.
	defaultMaxRow = 1 << 20
	// maxRescanned is the number of bytes that are read again after rows whose quotes do not match.
	// The limit ends the reading of files that have nothing but such rows.
	maxRescanned = 64 << 20
)

// commonDelimiters are the delimiters of most files. In the only cell of a row, they show that the
// row has another delimiter than the header.
const commonDelimiters = ",;\t|"

// cell is a cell of a row.
type cell struct {
	text   string
	name   string // name of the attribute, from another cell of the row
	quoted bool   // a cell of a CSV file that has quotes
	// The next three fields are for a JSON file.
	list     []cell // entries of a list; text has them with commas between them
	object   bool   // list has its members as NAME=VALUE; text is its name, or "" if it has none
	plain    bool   // the cell is a number, in plain decimal notation
	currency string // currency of a price
}

// csvRecord is a row of a CSV file.
type csvRecord struct {
	line    int
	raw     []byte // the row without the line end
	cells   []cell
	comment bool // the line is a comment, not a row of cells
	err     error
}

// csvReader reads the rows of a CSV file as spreadsheets and shops write them. Unlike
// encoding/csv, it keeps line breaks in cells as they are, takes a quote inside a cell as
// text, tells apart an empty cell and an empty pair of quotes, and continues after a row
// whose quotes do not match.
type csvReader struct {
	in        *bufio.Reader
	delimiter []byte
	end       byte // last byte of a line end: '\n' or '\r'
	columns   int  // number of columns of a row; 0 if that is not known yet
	line      int  // number of lines read
	maxRow    int
	again     [][]byte
	rescanned int
	mostAgain int // limit of the bytes that are read again
}

func newCSVReader(in *bufio.Reader, delimiter rune, end byte, maxRow int) *csvReader {
	return &csvReader{in: in, delimiter: utf8.AppendRune(nil, delimiter), end: end, maxRow: maxRow, mostAgain: maxRescanned}
}

// readLine returns the next line, with its line end, and io.EOF with the last one.
func (r *csvReader) readLine() (line []byte, err error) {
	if len(r.again) > 0 {
		line, r.again = r.again[0], r.again[1:]
		r.line++
		return line, nil
	}
	for {
		part, err := r.in.ReadSlice(r.end)
		if len(line) <= r.maxRow {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(line) > 0 {
			r.line++
		}
		if len(line) > 0 && errors.Is(err, io.EOF) {
			err = nil
		}
		return line, err
	}
}

// next returns the next row. The error is io.EOF at the end of the file.
func (r *csvReader) next() (csvRecord, error) {
	again := len(r.again) > 0 // the row may be the text of a cell whose quotes do not end
	first, err := r.readLine()
	if err != nil {
		return csvRecord{}, err
	}
	rec := csvRecord{line: r.line}
	lines := [][]byte{first}
	size := len(first)
	split := splitter{delimiter: r.delimiter}
	split.feed(first)
	for split.inQuotes && size <= r.maxRow {
		line, err := r.readLine()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return csvRecord{}, err
		}
		lines = append(lines, line)
		size += len(line)
		split.feed(line)
	}
	// Quotes inside a quoted cell are text only within a line. Beyond it, they are more
	// likely a cell that does not end, and the next row belongs to another product.
	if split.inQuotes || size > r.maxRow || split.tolerant && len(lines) > 1 {
		r.again = append(lines[1:len(lines):len(lines)], r.again...)
		r.line -= len(lines) - 1
		if r.rescanned += size - len(first); r.rescanned > r.mostAgain {
			return csvRecord{}, fmt.Errorf("line %d: quotes do not match, here and in rows before; check -delimiter, and double the quotes inside cells: \"\"", rec.line)
		}
		rec.raw = trimLineEnd(first)
		if r.columns > 1 && len(first) <= r.maxRow {
			once := splitter{delimiter: r.delimiter, lastQuote: true}
			if once.feed(first); !once.inQuotes && len(once.cells) == r.columns {
				rec.cells = once.cells
				return rec, nil
			}
		}
		switch {
		case len(first) > r.maxRow:
			rec.err = fmt.Errorf("is longer than %d bytes", r.maxRow)
		case size > r.maxRow:
			rec.err = fmt.Errorf(`is longer than %d bytes, or a quoted cell does not end; double the quotes inside the cell ("")`, r.maxRow)
		default:
			rec.err = errors.New(`a quoted cell does not end with a quote and a delimiter; double the quotes inside the cell ("")`)
		}
		return rec, nil
	}
	rec.raw = trimLineEnd(bytes.Join(lines, nil))
	rec.cells = split.cells
	switch n := len(rec.cells); {
	case r.columns == 0 || n == r.columns || rec.blank():
	case isComment(rec.cells):
		rec.comment = true
	case n > r.columns && blank(rec.cells[r.columns:]): // surplus delimiters at the end of the row
		rec.cells = rec.cells[:r.columns]
	case n < r.columns && len(rec.raw) == size:
		rec.err = fmt.Errorf("has %d of %d columns, and its line does not end: the file may be cut off", n, r.columns)
	case n < r.columns && !again && (n > 1 || !strings.ContainsAny(rec.cells[0].text, commonDelimiters)): // spreadsheets leave out empty cells at the end of a row
		rec.cells = append(rec.cells, make([]cell, r.columns-n)...)
	case n < r.columns:
		rec.err = fmt.Errorf("has %d of %d columns; check -delimiter %q", n, r.columns, r.delimiter)
	default:
		rec.err = fmt.Errorf("has %d columns, and the header has %d; check -delimiter %q, and that cells with a delimiter are in quotes", n, r.columns, r.delimiter)
	}
	return rec, nil
}

// blank reports whether all cells of the row are blank.
func (r *csvRecord) blank() bool { return blank(r.cells) }

func blank(cells []cell) bool {
	for _, c := range cells {
		if strings.Trim(strings.TrimSpace(c.text), "\x00\x1A") != "" { // DOS ends files with 0x1A
			return false
		}
	}
	return true
}

func trimLineEnd(line []byte) []byte { return bytes.TrimRight(line, "\r\n") }

// splitter splits the lines of one row into cells.
type splitter struct {
	delimiter []byte
	cells     []cell
	cell      []byte
	quoted    bool // the present cell has quotes
	inQuotes  bool // the row continues on the next line
	closed    bool // the quotes of the present cell have ended
	escaped   bool // a quote in the present cell has a backslash before it
	tolerant  bool // a quote inside a quoted cell was taken as text
	lastQuote bool // two quotes before a delimiter are a text's last character and the end of the cell
}

// feed splits a line. The row is complete unless inQuotes is then set.
func (s *splitter) feed(line []byte) {
	for i := 0; i < len(line); {
		b := line[i]
		rest := line[i:]
		switch {
		case s.inQuotes && b == '\\' && len(rest) > 2 && rest[1] == '"' && rest[2] != '"' && !s.endsCell(rest[2:]):
			s.cell, s.escaped = append(s.cell, '"'), true // MySQL and PHP write a quote so
			i += 2
		case s.escaped && b == '\\' && len(rest) > 2 && rest[1] == '"' && rest[2] == '"' && s.endsCell(rest[3:]):
			s.cell = append(s.cell, '"')
			s.inQuotes, s.closed = false, true
			i += 3
		case s.inQuotes && b != '"':
			s.cell = append(s.cell, b)
			i++
		case s.inQuotes && s.lastQuote && len(rest) > 1 && rest[1] == '"' && s.endsCell(rest[2:]):
			s.cell = append(s.cell, '"')
			s.inQuotes, s.closed = false, true
			i += 2
		case s.inQuotes && len(rest) > 1 && rest[1] == '"':
			s.cell = append(s.cell, '"')
			i += 2
		case s.inQuotes && s.endsCell(rest[1:]):
			s.inQuotes, s.closed = false, true
			i++
		case s.inQuotes:
			s.cell, s.tolerant = append(s.cell, '"'), true
			i++
		case bytes.HasPrefix(rest, s.delimiter):
			s.endCell()
			i += len(s.delimiter)
		case b <= '\r' && isLineEnd(rest):
			i = len(line)
		case s.closed: // blanks after the quotes
			i++
		case b == '"' && !s.quoted && len(bytes.TrimLeft(s.cell, " ")) == 0:
			s.cell, s.quoted, s.inQuotes = s.cell[:0], true, true
			i++
		default:
			s.cell = append(s.cell, b)
			i++
		}
	}
	if !s.inQuotes {
		s.endCell()
	}
}

func (s *splitter) endCell() {
	s.cells = append(s.cells, cell{text: string(s.cell), quoted: s.quoted})
	s.cell, s.quoted, s.closed, s.escaped = s.cell[:0], false, false, false
}

// endsCell reports whether a cell ends before rest, blanks aside.
func (s *splitter) endsCell(rest []byte) bool {
	for len(rest) > 0 && rest[0] == ' ' && !bytes.HasPrefix(rest, s.delimiter) {
		rest = rest[1:]
	}
	return len(rest) == 0 || isLineEnd(rest) || bytes.HasPrefix(rest, s.delimiter)
}

// isLineEnd reports whether rest is the end of a line.
func isLineEnd(rest []byte) bool {
	return string(rest) == "\n" || string(rest) == "\r\n" || string(rest) == "\r"
}

// isComment reports whether a row is a remark of the program that wrote the file: one cell
// such as "# end" or "(2 rows)".
func isComment(cells []cell) bool {
	return len(cells) == 1 && (strings.HasPrefix(cells[0].text, "#") || rowCount.MatchString(cells[0].text))
}

// rowCount matches the last line of an export of PostgreSQL or SQL Server.
var rowCount = regexp.MustCompile(`^\([0-9]+ rows?( affected)?\)$`)
