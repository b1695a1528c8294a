package productfile

import (
	"errors"
	"strings"
)

// Settings are the settings of a format as texts: the flags of catalog import, and the
// parameters of an import over HTTP.
type Settings struct {
	Kind, Encoding, Delimiter, LineEnds string
	HeaderRow                           int
	Columns                             string // names, separated by commas
	Decimal, Currency                   string
	Preset, Mapping, Map                string // names of a preset and of a file; columns for fields
	Empty, Long                         string // policies, as ParsePolicies reads them
	Nulls                               string // texts, separated by commas
	InvalidGTIN, OtherCategories        string
	Tidy                                *bool
}

// Format returns the format. An error names the flag whose value is not valid.
func (s Settings) Format() (Format, error) {
	f := Format{
		Encoding: s.Encoding, LineEnds: s.LineEnds, HeaderRow: s.HeaderRow, Decimal: s.Decimal, Currency: s.Currency,
		InvalidGTIN: s.InvalidGTIN, OtherCategories: s.OtherCategories, Tidy: s.Tidy,
	}
	if s.Columns != "" {
		f.Columns = strings.Split(s.Columns, ",")
	}
	if s.Nulls != "" {
		f.Nulls = strings.Split(s.Nulls, ",")
	}
	for _, set := range []func() error{
		func() (err error) { f.Kind, err = KindOf(s.Kind, ""); return err },
		func() (err error) { f.Delimiter, err = ParseDelimiter(s.Delimiter); return err },
		func() (err error) { f.Empty, err = ParsePolicies("-empty", s.Empty, EmptyClear, EmptyKeep); return err },
		func() (err error) {
			f.Long, err = ParsePolicies("-long", s.Long, LongRefuse, LongCut, LongSkip)
			return err
		},
		func() (err error) { f.Mapping, err = s.mapping(); return err },
		func() error { return f.Validate() },
	} {
		if err := set(); err != nil {
			return f, err
		}
	}
	return f, nil
}

// mapping returns the mapping of the preset or file, with the columns of Map in place of
// those for the same fields.
func (s Settings) mapping() (m Mapping, err error) {
	switch {
	case s.Preset != "" && s.Mapping != "":
		return m, errors.New("give -preset or -mapping, not both")
	case s.Preset != "":
		m, err = Preset(s.Preset)
	case s.Mapping != "":
		m, err = LoadMapping(s.Mapping)
	}
	if err != nil || s.Map == "" {
		return m, err
	}
	columns, err := ParseMap(s.Map)
	return m.Override(columns), err
}
