package catalog_test

import (
	"strings"
	"testing"

	"catalog"
)

func TestGTIN(t *testing.T) {
	gtin := catalog.FieldByName("gtin")
	for _, c := range []struct {
		gtin string
		want string // a part of the reason; "" for a valid GTIN
	}{
		{"96385074", ""},       // GTIN-8
		{"614141000036", ""},   // GTIN-12
		{"4006381333931", ""},  // GTIN-13
		{"10614141000415", ""}, // GTIN-14
		{"0614141000036", ""},  // the GTIN-12 above as a GTIN-13
		{"00000000", ""},
		{"4006381333932", "has the check digit 2, but 400638133393 needs 1"},
		{"96385073", "needs 4"},
		{"4006381333913", "check digit"}, // two digits exchanged
		{"400638133393", "check digit"},  // one digit short is a GTIN-12 with a wrong check digit
		{"963850741", "8, 12, 13 or 14 digits"},
		{"123456789012345", "at most 14 characters"},
		{"4006381-33931", "digits"},
		{"400638133393X", "digits"},
		{"٤٠٠٦٣٨١٣", "digits"}, // digits of another script
	} {
		if reason := gtin.Check(c.gtin); (reason == "") != (c.want == "") || !strings.Contains(reason, c.want) {
			t.Errorf("Check(%s) = %q; want %q", c.gtin, reason, c.want)
		}
	}
}

func TestGTIN14(t *testing.T) {
	for s, want := range map[string]string{
		"96385074": "00000096385074", "614141000036": "00614141000036", "0614141000036": "00614141000036",
		"10614141000415": "10614141000415", "123456789012345": "123456789012345",
	} {
		if got := catalog.GTIN14(s); got != want {
			t.Errorf("GTIN14(%s) = %s; want %s", s, got, want)
		}
	}
}
