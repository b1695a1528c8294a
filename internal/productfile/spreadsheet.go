package productfile

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"catalog"
)

var (
	// scientific matches a number that a spreadsheet has shortened, such as 4.00638E+12.
	// An E between digits alone, as in 12E5, may be part of an SKU.
	scientific = regexp.MustCompile(`^[0-9]([.,][0-9]+[Ee][+-]?|[Ee]\+)[0-9]+$`)
	// formulaText matches a formula whose value is a text, such as ="00123".
	formulaText = regexp.MustCompile(`^="([^"]*)"$`)
	// formula matches another formula, such as ="0012"&"3".
	formula = regexp.MustCompile(`^=("|[0-9]|[A-Z]+\()`)
	// errorValue matches an error value of Excel or LibreOffice in English, German, French,
	// Spanish or Italian, and a number in a column that was too narrow.
	errorValue = regexp.MustCompile(`^(#(N/[AD]|NV|[¡¿]?(REF|BEZUG|RIF|VALUE|WERT|VALEUR|VALORE?|NAME|NOM|NOMBRE|NOME|DIV/0|NULL|NULO|NULLO|NUM|ZAHL|SPILL|CALC|FIELD)[!?])|Err:5[0-9][0-9]|#{3,})$`)
	// midnight matches a date with a time, which no SKU is: a program has read the SKU as a
	// date.
	midnight = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T]00:00:00(\.0+)?$`)
	// date matches a date in digits, such as 2026-03-01, 1/3/2026 or 01.03.26.
	date = regexp.MustCompile(`^([0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T].*)?|[0-9]{1,2}[./][0-9]{1,2}[./]([0-9]{2}|[0-9]{4}))$`)
	year = regexp.MustCompile(`[0-9]{4}`)
	// dayAndMonth matches what a spreadsheet makes of an SKU such as 3-4 or MAR1.
	dayAndMonth = regexp.MustCompile(`(?i)^([0-3]?[0-9][-. ](jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)|(jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[-. ][0-9]{2})$`)
	// wholeFloat matches a GTIN that a program has read as a number.
	wholeFloat = regexp.MustCompile(`^[0-9]{8,14}\.0+$`)
)

// checkSpreadsheet returns an error for a cell that has an error value in place of a text.
func (r *Reader) checkSpreadsheet(column, text string) error {
	if text = strings.TrimSpace(text); r.rows.tidy && len(text) < 20 && errorValue.MatchString(text) {
		return fmt.Errorf("column %s: %q is an error value of a spreadsheet, or a column that was too narrow; correct the cell, and export the file again, or give -nulls %q if it stands for an empty cell", column, text, text)
	}
	return nil
}

// withoutApostrophe returns a text without the apostrophe that shops and spreadsheets put
// before a text that a spreadsheet would run as a formula.
func withoutApostrophe(s string) string {
	if len(s) > 1 && s[0] == '\'' && strings.ContainsRune("=+-@", rune(s[1])) {
		return s[1:]
	}
	return s
}

// unspoiled returns an SKU or GTIN, unless a spreadsheet has damaged it.
func (b *rowBuilder) unspoiled(s string) (string, error) {
	if !b.rows.tidy {
		return s, nil
	}
	if m := formulaText.FindStringSubmatch(s); m != nil {
		b.note("%s is a spreadsheet's formula for the text %q, which was taken", s, oneLine(m[1]))
		return oneLine(m[1]), nil
	}
	if len(s) > 1 && s[0] == '\'' && s[1] >= '0' && s[1] <= '9' {
		b.note("%s has the apostrophe of a spreadsheet, and %q was taken", s, s[1:])
		return s[1:], nil
	}
	switch {
	case scientific.MatchString(s):
		return "", shortened(s)
	case formula.MatchString(s):
		return "", fmt.Errorf("%q is a formula of a spreadsheet; save the values instead", s)
	case midnight.MatchString(s):
		return "", fmt.Errorf("%q is a date that a spreadsheet has made of another text; format the column as text in the spreadsheet, and enter the texts again", s)
	case dayAndMonth.MatchString(s), date.MatchString(s) && year.MatchString(s):
		b.note("%q looks like a date that a spreadsheet has made of another text", s)
	}
	return s, nil
}

// shortened returns the error for a number that a spreadsheet has shortened.
func shortened(s string) error {
	return fmt.Errorf("%q is a number that a spreadsheet has shortened, and its digits are lost; format the column as text in the spreadsheet, and enter the numbers again", s)
}

func validGTIN(s string) bool {
	patch := catalog.Patch{GTIN: &s}
	return patch.Validate() == nil
}

// gtin returns a GTIN without the blanks and hyphens between its digits. It sets leftOut if the
// GTIN is not valid and the policy leaves out such GTINs.
func (b *rowBuilder) gtin(s source, text string, leftOut *bool) string {
	if !b.rows.tidy || text == "" {
		return text
	}
	digits := strings.NewReplacer(" ", "", "-", "").Replace(text)
	if wholeFloat.MatchString(digits) {
		digits, _, _ = strings.Cut(digits, ".")
	}
	if strings.Trim(digits, "0123456789") == "" {
		text = digits
	}
	if cmp.Or(s.Invalid, b.format.InvalidGTIN) == InvalidSkip && !validGTIN(text) {
		b.note("gtin %q was left out: it is not a valid GTIN", text)
		*leftOut = true
		return ""
	}
	return text
}
