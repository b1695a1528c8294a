package mongo

import (
	"errors"
	"reflect"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"catalog"
)

func TestDuplicates(t *testing.T) {
	entries := productEntries([]catalog.Product{{Version: 1}, {Version: 2}, {Version: 3}})
	failed := func(codes ...int) error {
		var err mongo.BulkWriteException
		for i, code := range codes {
			if code != 0 {
				err.WriteErrors = append(err.WriteErrors, mongo.BulkWriteError{WriteError: mongo.WriteError{Index: i, Code: code}})
			}
		}
		return err
	}
	t.Run("existing documents that can be older are returned", func(t *testing.T) {
		if exist, err := duplicates(entries, failed(11000, 0, 11000)); err != nil || !reflect.DeepEqual(exist, entries[2:]) {
			t.Errorf("duplicates = %v, %v; want the third", exist, err)
		}
	})
	t.Run("any other error is returned", func(t *testing.T) {
		for _, want := range []error{failed(11000, 17280), mongo.BulkWriteException{WriteConcernError: &mongo.WriteConcernError{Code: 64}}, errors.New("other")} {
			if exist, err := duplicates(entries, want); !reflect.DeepEqual(err, want) || exist != nil {
				t.Errorf("duplicates = %v, %v; want %v", exist, err, want)
			}
		}
	})
}

func TestSplit(t *testing.T) {
	t.Run("a command ends at a number of entries and at a size", func(t *testing.T) {
		entries := []entry{{size: 1}, {size: 1}, {size: 1}, {size: maxCommandBytes}, {size: 1}}
		var lengths []int
		for _, part := range split(entries, 2) {
			lengths = append(lengths, len(part))
		}
		if want := []int{2, 2, 1}; !reflect.DeepEqual(lengths, want) {
			t.Errorf("split = parts of %v; want %v", lengths, want)
		}
	})
}
