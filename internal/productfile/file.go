package productfile

import (
	"cmp"
	"errors"
	"hash/maphash"
	"io"
	"slices"
)

// File is a file whose rows have all been checked once. Rows that are valid and not
// superseded are to be sent.
type File struct {
	Rows       int            // number of rows that are products, valid or not
	Products   int            // number of rows to be sent, one for each product
	Superseded int            // number of valid rows followed by another one about their product
	Invalid    int            // number of rows with an Err
	Skipped    map[string]int // number of rows that are not products, by what they are

	source Source
	format Format
	seed   maphash.Seed
	last   map[uint64]int // number of the last valid row about a product that has several, by the hash of Row.Key
}

// rowOf is a valid row about a product. An import keeps one for each row: 16 bytes.
type rowOf struct {
	key    uint64 // hash of Row.Key
	number int    // number of the row
}

// Source opens the content of a file at its start.
type Source func() (io.ReadCloser, error)

// Recognise returns the form of a file.
func Recognise(source Source, format Format) (Recognised, error) {
	in, err := source()
	if err != nil {
		return Recognised{}, err
	}
	defer in.Close()
	r, err := NewReader(in, format)
	if err != nil {
		return Recognised{}, err
	}
	return r.Recognised(), nil
}

// Check reads the whole file. It returns an error if the file cannot be read to its end,
// or has no row of a product. handle is called for each row, and stops the check by an
// error.
func Check(source Source, format Format, handle func(Row) error) (*File, error) {
	c := &File{source: source, format: format, seed: maphash.MakeSeed(), last: map[uint64]int{}, Skipped: map[string]int{}}
	var valid []rowOf
	err := c.read(func(r Row) error {
		switch {
		case r.Skipped != "":
			c.Skipped[r.Skipped]++
			return handle(r)
		case r.Err != nil:
			c.Invalid++
		default:
			valid = append(valid, rowOf{c.hash(r), r.Number})
		}
		c.Rows++
		return handle(r)
	})
	slices.SortFunc(valid, func(a, b rowOf) int { return cmp.Or(cmp.Compare(a.key, b.key), a.number-b.number) })
	for i := 1; i < len(valid); i++ {
		if valid[i].key == valid[i-1].key {
			c.Superseded++
			c.last[valid[i].key] = valid[i].number
		}
	}
	c.Products = len(valid) - c.Superseded
	if err == nil && c.Rows == 0 {
		err = errors.New("the file has no row with a product")
	}
	return c, err
}

// Each calls handle with each row to be sent, in the order of the file.
func (c *File) Each(handle func(Row) error) error {
	return c.read(func(r Row) error {
		if r.Err != nil || r.Skipped != "" {
			return nil
		}
		if last, several := c.last[c.hash(r)]; several && last != r.Number {
			return nil
		}
		return handle(r)
	})
}

func (c *File) hash(r Row) uint64 { return maphash.String(c.seed, r.Key) }

func (c *File) read(handle func(Row) error) error {
	in, err := c.source()
	if err != nil {
		return err
	}
	defer in.Close()
	r, err := NewReader(in, c.format)
	if err != nil {
		return err
	}
	return r.Each(handle)
}
