package productfile

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
)

const (
	// sampleSize is the size of the part of a file by which its form is recognised. It is more than
	// the first rows of any feed.
	sampleSize = 256 << 10
	// titleRows is the number of rows in which the header is looked for.
	titleRows = 20
)

// Recognised describes the form of a file in words for a user.
type Recognised struct {
	Kind      string
	encoding  string
	delimiter rune
	lineEnds  string
	header    int // line of the header; 0 if there is none
	exported  bool

	// Mapped has a line for each column that is read: "column → field".
	Mapped []string
	// Ignored are the names of the other columns.
	Ignored []string
	// Hint is the flag that would probably read columns of Ignored, too, or "".
	Hint string
}

// String returns the form in one line.
func (r Recognised) String() string {
	if r.Kind == JSON {
		return "JSON, encoding " + r.encoding
	}
	name := map[rune]string{'\t': "tab", ',': "comma", ';': "semicolon", '|': "vertical bar"}[r.delimiter]
	if name == "" {
		name = fmt.Sprintf("%q", r.delimiter)
	}
	header := "no header"
	if r.header > 0 {
		header = fmt.Sprintf("columns in line %d", r.header)
	}
	s := fmt.Sprintf("CSV, delimiter %s, encoding %s, line ends %s, %s", name, r.encoding, r.lineEnds, header)
	if r.exported {
		s += ", written by catalog export"
	}
	return s
}

// Reader reads the rows of a file.
type Reader struct {
	format  Format
	about   Recognised
	sources []source
	csv     *csvReader  // nil for JSON
	json    *jsonReader // nil for CSV
	header  []string    // header of a CSV file
	rawHead []byte      // the header as it stands in the file
	rows    rowContext
	number  int       // number of the last row
	entries entriesOf // entries of the last object of a JSON file
}

// Recognised returns the form of the file.
func (r *Reader) Recognised() Recognised { return r.about }

// NewReader recognises the form of a file and returns a reader of its rows.
func NewReader(in io.Reader, f Format) (*Reader, error) {
	r := &Reader{format: f.withMapping()}
	f = r.format
	size := min(sampleSize, f.MaxRow)
	buffered := bufio.NewReaderSize(in, size)
	sample, err := buffered.Peek(size)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.HasPrefix(sample, []byte("\xFF\xFE\x00\x00")) || bytes.HasPrefix(sample, []byte("\x00\x00\xFE\xFF")) {
		return nil, errors.New("the file is UTF-32; save it as UTF-8")
	}
	if err := recogniseOther(sample); err != nil {
		return nil, err
	}
	found, mark := recogniseEncoding(sample)
	e, name, err := encodingOf(cmp.Or(f.Encoding, found))
	if err != nil {
		return nil, err
	}
	if r.about.encoding = name; name == found {
		_, _ = buffered.Discard(mark)
	}
	decoded := buffered
	if e != encoding.Nop {
		decoded = bufio.NewReaderSize(e.NewDecoder().Reader(buffered), size)
	}
	for mark, _ := decoded.Peek(3); string(mark) == "\uFEFF"; mark, _ = decoded.Peek(3) { // a file that was joined from several has several marks
		_, _ = decoded.Discard(3)
	}
	if sample, err = decoded.Peek(size); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	whole := len(sample) < size
	start := bytes.TrimSpace(sample)
	if len(start) == 0 {
		return nil, errors.New("the file is empty")
	}
	if err := recogniseOther(start); err != nil {
		return nil, err
	}
	switch {
	case f.Kind == "" && start[0] == '<':
		return nil, errors.New("the file is XML or HTML; convert it to CSV or JSON, or give -format csv if it is CSV")
	case bytes.Count(start, []byte{0}) > len(start)/4:
		return nil, errors.New("the file is not a text")
	}
	r.about.Kind = cmp.Or(f.Kind, recogniseKind(start))
	if r.about.Kind == JSON {
		if start[0] != '{' && start[0] != '[' {
			return nil, errors.New("the file is not JSON, which begins with { or [; give -format csv if it is CSV")
		}
		return r, r.openJSON(decoded, sample)
	}
	if err := r.openCSV(decoded, sample, whole); err != nil {
		if recogniseKind(start) == JSON {
			err = errors.New("the file is not CSV; it begins like JSON")
		}
		return nil, err
	}
	return r, nil
}

// recogniseKind returns the kind of a file by its first characters.
func recogniseKind(start []byte) string {
	inner := bytes.TrimSpace(start[1:])
	switch {
	case start[0] == '{' && (len(inner) == 0 || inner[0] == '"' || inner[0] == '}'),
		start[0] == '[' && (len(inner) == 0 || inner[0] == '{' || inner[0] == ']'):
		return JSON
	}
	return CSV
}

// otherKinds are the first characters of files that are neither CSV nor JSON, and the names of
// their kinds. Letters are in lower case.
var otherKinds = []struct{ mark, what string }{
	{"pk\x03\x04", "a ZIP file or a workbook; unpack it, or save the workbook as CSV"},
	{"\x1F\x8B", "compressed with gzip; unpack it, or send it with Content-Encoding: gzip"},
	{"bzh", "compressed with bzip2; unpack it"},
	{"\xFD7zxz", "compressed with xz; unpack it"},
	{"\x28\xB5\x2F\xFD", "compressed with zstd; unpack it"},
	{"7z\xBC\xAF", "a 7-Zip file; unpack it"},
	{"rar!", "a RAR file; unpack it"},
	{"\xD0\xCF\x11\xE0", "a workbook of Excel; save it as \"CSV UTF-8\""},
	{"par1", "a Parquet file; export it as CSV or JSON"},
	{"%pdf-", "a PDF; export the table as CSV"},
	{"{\\rtf", "a text document; save the table as CSV"},
	{"\x89png", "an image"},
	{"\xFF\xD8\xFF", "an image"},
	{"<?xml", "XML; convert it to CSV or JSON"},
	{"<!doctype html", "an HTML page; the download may have failed"},
	{"<html", "an HTML page; the download may have failed"},
}

// recogniseOther returns an error for a file of another kind than CSV and JSON.
func recogniseOther(start []byte) error {
	for _, k := range otherKinds {
		if hasMark(start, k.mark) {
			return errors.New("the file is " + k.what)
		}
	}
	return nil
}

// hasMark reports whether a file begins with a mark, whose letters are in lower case.
func hasMark(start []byte, mark string) bool {
	if len(start) < len(mark) {
		return false
	}
	for i, b := range start[:len(mark)] {
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != mark[i] {
			return false
		}
	}
	return true
}

// withMapping returns the format with the settings of its mapping where it has none.
func (f Format) withMapping() Format {
	m := &f.Mapping
	if f.Delimiter == 0 && m.Delimiter != "" {
		f.Delimiter, _ = ParseDelimiter(m.Delimiter)
	}
	for to, from := range map[*string]string{&f.Encoding: m.Encoding, &f.Decimal: m.Decimal, &f.Currency: m.Currency} {
		if *to == "" {
			*to = from
		}
	}
	f.Nulls = slices.Concat(f.Nulls, m.Nulls)
	f.MaxRow = cmp.Or(f.MaxRow, defaultMaxRow)
	return f
}

func (r *Reader) openJSON(in *bufio.Reader, sample []byte) error {
	r.json = &jsonReader{in: in, maxRow: r.format.MaxRow}
	if before := findList(sample); before > 0 {
		r.json.within = true
		r.json.line = bytes.Count(sample[:before], []byte("\n"))
		_, _ = in.Discard(before)
	}
	r.rows.tidy = len(r.format.Mapping.Columns) > 0
	if r.format.Tidy != nil {
		r.rows.tidy = *r.format.Tidy
	}
	if len(r.format.Mapping.Columns) == 0 {
		return nil
	}
	var err error
	r.sources, err = r.format.Mapping.resolveJSON()
	for _, s := range r.sources {
		r.about.Mapped = append(r.about.Mapped, s.From+" → "+s.To)
	}
	return err
}

func (r *Reader) openCSV(in *bufio.Reader, sample []byte, whole bool) error {
	f := &r.format
	end := byte('\n')
	if r.about.lineEnds = f.LineEnds; f.LineEnds == "" {
		r.about.lineEnds = recogniseLineEnds(sample)
	}
	if r.about.lineEnds == "cr" {
		end = '\r'
	}
	r.about.delimiter = f.Delimiter
	skipped := 0                               // lines before the first row
	if first, rest, ok := cutSep(sample); ok { // the line of Excel with the delimiter
		if r.about.delimiter == 0 {
			r.about.delimiter = first
		}
		_, _ = in.Discard(len(sample) - len(rest))
		sample, skipped = rest, 1
	}
	if r.about.delimiter == 0 {
		r.about.delimiter = recogniseDelimiter(sample, whole, end)
	}
	r.csv = newCSVReader(in, r.about.delimiter, end, r.format.MaxRow)
	r.csv.line = skipped
	if len(f.Columns) > 0 {
		r.header = f.Columns
		sources, err := f.Mapping.resolve(r.header)
		if err != nil {
			return fmt.Errorf("-columns: %w", err)
		}
		r.csv.columns = len(r.header)
		r.use(sources)
		return nil
	}
	return r.readHeader(sample, whole, end)
}

// readHeader reads the rows up to the header: the one of -header-row, or the first one
// with the columns that are to be read.
func (r *Reader) readHeader(sample []byte, whole bool, end byte) error {
	at := r.format.HeaderRow
	if at == 0 {
		at = r.findHeader(sample, whole, end)
	}
	for n := 1; ; n++ {
		rec, err := r.csv.next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("there is no header in row %d: the last row is row %d", at, n-1)
		}
		if err != nil {
			return err
		}
		if n < at {
			continue
		}
		if rec.err != nil {
			return fmt.Errorf("line %d: the header cannot be read: %w", rec.line, rec.err)
		}
		r.about.header = rec.line
		r.rawHead = rec.raw
		for _, c := range rec.cells {
			if err := r.checkText("the header", c.text); err != nil {
				return fmt.Errorf("line %d: %w", rec.line, err)
			}
			r.header = append(r.header, headerName(c.text))
		}
		break
	}
	sources, err := r.format.Mapping.resolve(r.header)
	if err != nil {
		return fmt.Errorf("line %d: %w", r.about.header, r.withHints(err))
	}
	r.csv.columns = len(r.header)
	r.use(sources)
	if r.rows.tidy && r.format.Encoding == "" && encodedTwice(withoutPart(sample)) {
		return errors.New("the text was encoded twice, so that é is Ã©; export the file again, or give -encoding utf-8 to import it as it is")
	}
	return nil
}

// headerName returns the name of a column as it is compared and shown: without the blanks
// around it.
func headerName(s string) string {
	return strings.TrimSpace(strings.Trim(strings.TrimSpace(s), "\uFEFF"))
}

// withHints adds to an error about the columns which flag may be the remedy.
func (r *Reader) withHints(err error) error {
	if len(r.header) == 1 {
		if strings.ContainsRune(r.header[0], r.about.delimiter) {
			return fmt.Errorf("%w; the whole row stands in quotes: export the file again, or remove them", err)
		}
		for _, d := range append(delimiters, ':', ' ') {
			if strings.ContainsRune(r.header[0], d) && d != r.about.delimiter {
				return fmt.Errorf("%w; if %q separates the columns, give -delimiter %q", err, d, d)
			}
		}
	}
	if errors.Is(err, errRename) || suggestion(r.header) != "" {
		return err
	}
	return fmt.Errorf("%w; if another row has the names of the columns, give -header-row, and if none has, -columns", err)
}

// findHeader returns the number of the first row of the sample with the columns to read,
// or 1.
func (r *Reader) findHeader(sample []byte, whole bool, end byte) int {
	rows := sampleRows(sample, whole, r.about.delimiter, end, titleRows)
	for i, row := range rows {
		header := make([]string, len(row))
		for j, c := range row {
			header[j] = headerName(c.text)
		}
		if _, err := r.format.Mapping.resolve(header); err == nil {
			return i + 1
		}
	}
	return 1
}

// use sets the columns that are read, and whether the cells are tidied.
func (r *Reader) use(sources []source) {
	r.sources = sources
	r.about.exported = len(r.format.Mapping.Columns) == 0 && exported(r.header)
	r.rows.tidy = !r.about.exported
	if r.format.Tidy != nil {
		r.rows.tidy = *r.format.Tidy
	}
	read := map[int]bool{}
	for _, s := range sources {
		read[s.index] = true
		r.about.Mapped = append(r.about.Mapped, r.header[s.index]+" → "+s.To)
	}
	for i, name := range r.header {
		if !read[i] && name != "" {
			r.about.Ignored = append(r.about.Ignored, name)
		}
	}
	if len(r.format.Mapping.Columns) == 0 && len(r.about.Ignored) > 0 {
		r.about.Hint = suggestion(r.header)
	}
}

// exported reports whether a header is that of a file that catalog export wrote.
func exported(header []string) bool {
	if len(header) > 0 && header[0] == reasonColumn {
		header = header[1:]
	}
	columns := Columns()
	if len(header) < len(columns) || !slices.Equal(header[:len(columns)], columns) {
		return false
	}
	for _, name := range header[len(columns):] {
		if !strings.HasPrefix(name, attributePrefix) {
			return false
		}
	}
	return true
}

// recogniseLineEnds returns lf, crlf or cr: what ends most lines of a text outside of
// quotes.
func recogniseLineEnds(sample []byte) string {
	var lf, crlf, cr int
	inQuotes := false
	for i, b := range sample {
		switch {
		case b == '"':
			inQuotes = !inQuotes
		case inQuotes:
		case b == '\n' && byteAt(sample, i-1) == '\r':
			crlf++
		case b == '\n':
			lf++
		case b == '\r' && byteAt(sample, i+1) != '\n':
			cr++
		}
	}
	switch {
	case cr > lf+crlf:
		return "cr"
	case crlf > lf:
		return "crlf"
	}
	return "lf"
}

// cutSep returns the delimiter of a first line such as "sep=;", and the text after that line.
func cutSep(sample []byte) (delimiter rune, rest []byte, ok bool) {
	if len(sample) < 5 || !strings.EqualFold(string(sample[:4]), "sep=") {
		return 0, sample, false
	}
	line, rest, _ := bytes.Cut(sample, []byte("\n"))
	if i := bytes.IndexByte(line, '\r'); i >= 0 && len(line) > i+1 { // lines end with CR
		line, rest = sample[:i], sample[i+1:]
	}
	value := []rune(strings.TrimRight(string(line[4:]), "\r\n"))
	if len(value) != 1 {
		return 0, sample, false
	}
	return value[0], rest, true
}

// delimiters are the delimiters that are recognised, the most frequent one first.
var delimiters = []rune{',', ';', '\t', '|', '^', '~', '¦', '\x1F'}

// recogniseDelimiter returns the delimiter with which most rows of the sample have the
// same number of columns, and of these the one with most columns. Rows with fewer columns
// than the first row count half, because spreadsheets leave out empty cells at the end.
func recogniseDelimiter(sample []byte, whole bool, end byte) rune {
	best, bestScore := ',', 0.0
	for _, d := range delimiters {
		rows := sampleRows(sample, whole, d, end, 100)
		counts := map[int]int{}
		for _, row := range rows {
			if len(row) > 1 {
				counts[len(row)]++
			}
		}
		for columns, n := range counts {
			same := float64(n)
			for fewer, n := range counts {
				if fewer < columns && len(rows[0]) == columns {
					same += float64(n) / 2
				}
			}
			same /= float64(len(rows))
			if score := same * same * float64(columns); score > bestScore {
				best, bestScore = d, score
			}
		}
	}
	return best
}

// sampleRows returns the first rows of a sample. The last one is dropped if it may be cut
// off.
func sampleRows(sample []byte, whole bool, delimiter rune, end byte, most int) [][]cell {
	r := newCSVReader(bufio.NewReader(bytes.NewReader(sample)), delimiter, end, len(sample))
	r.mostAgain = 8 * len(sample) // some broken rows must not hide the form, nor cost much
	var rows [][]cell
	for len(rows) < most {
		rec, err := r.next()
		if err != nil {
			if !whole && len(rows) > 1 {
				rows = rows[:len(rows)-1]
			}
			break
		}
		rows = append(rows, rec.cells)
	}
	return rows
}

// Next returns the next row, and io.EOF after the last one.
func (r *Reader) Next() (row Row, err error) {
	if r.json != nil {
		row, err = r.nextJSON()
	} else {
		row, err = r.nextCSV()
	}
	r.number++
	row.Number = r.number
	return row, err
}

func (r *Reader) nextJSON() (Row, error) {
	if len(r.entries.left) == 0 {
		raw, line, rowErr, err := r.json.next()
		if err != nil {
			return Row{}, err
		}
		row := Row{Line: line, Entry: r.json.entry, Raw: raw, Err: rowErr}
		if rowErr == nil {
			r.jsonRow(&row)
		}
		if len(r.entries.left) == 0 {
			return row, nil
		}
	}
	row, o := r.entries.next()
	r.mappedJSON(&row, o)
	return row, nil
}

func (r *Reader) nextCSV() (Row, error) {
	rec, err := r.csv.next()
	if err != nil {
		return Row{}, err
	}
	row := Row{Line: rec.line, Raw: rec.raw, Err: rec.err}
	switch {
	case rec.comment:
		row.Skipped = commentRows
	case rec.err != nil:
	case rec.blank():
		row.Skipped = blankRows
	case r.isHeader(rec.cells):
		row.Skipped = repeatedHeaders
	default:
		r.csvRow(&row, rec.cells)
	}
	return row, nil
}

// isHeader reports whether a row repeats the names of the columns, as the parts of files
// that were joined do.
func (r *Reader) isHeader(cells []cell) bool {
	for i, c := range cells {
		if i >= len(r.header) || headerName(c.text) != r.header[i] {
			return false
		}
	}
	return r.about.header > 0
}
