package productfile

import (
	"io"
)

// File is a file whose rows have all been checked once. Rows that are valid and not
// superseded are to be sent.
type File struct {
	Rows       int   // number of rows
	Products   int   // number of rows to be sent, one for each product
	Superseded int   // number of valid rows followed by another one about their product
	Invalid    []Row // rows with an Err

	file   io.ReadSeeker
	format Format
	last   map[string]int // line of the last valid row about each product, by Row.Key
}

// Check reads the whole file, from its start. It returns an error if the file cannot be
// read to its end; invalid rows are in the result. keepOn is called for each row and
// stops the check by an error, as when the user interrupts it.
func Check(file io.ReadSeeker, format Format, keepOn func() error) (*File, error) {
	c := &File{file: file, format: format, last: map[string]int{}}
	err := c.read(func(r Row) error {
		c.Rows++
		if r.Err != nil {
			c.Invalid = append(c.Invalid, r)
			return keepOn()
		}
		if _, seen := c.last[r.Key]; seen {
			c.Superseded++
		}
		c.last[r.Key] = r.Line
		return keepOn()
	})
	c.Products = len(c.last)
	return c, err
}

// Each calls handle with each row to be sent, in the order of the file.
func (c *File) Each(handle func(Row) error) error {
	return c.read(func(r Row) error {
		if r.Err != nil || c.last[r.Key] != r.Line {
			return nil
		}
		return handle(r)
	})
}

func (c *File) read(handle func(Row) error) error {
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return Read(c.file, c.format, handle)
}
