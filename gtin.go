package catalog

import (
	"fmt"
	"strings"
)

// GTIN14 returns a GTIN with leading zeros up to 14 digits. GS1 compares GTINs in
// this form: the GTIN-12 of a North American barcode and the GTIN-13 with a zero
// before it are the same number. A text of 14 characters or more is returned as
// it is.
func GTIN14(s string) string {
	return strings.Repeat("0", max(0, MaxGTIN-len(s))) + s
}

// checkGTIN returns what is wrong with a GTIN (GS1 General Specifications, 7.9),
// or "".
func checkGTIN(s string) string {
	if !digits(s) || len(s) != 8 && (len(s) < 12 || len(s) > 14) {
		return "must be a GTIN of 8, 12, 13 or 14 digits, without spaces or dashes, such as 4006381333931"
	}
	if want := checkDigit(s[:len(s)-1]); s[len(s)-1] != want {
		return fmt.Sprintf("has the check digit %c, but %s needs %c; compare the number with the barcode", s[len(s)-1], s[:len(s)-1], want)
	}
	return ""
}

// checkDigit returns the last digit of the GTIN that begins with the given
// digits: it makes the sum of all digits, every second one times three, a multiple
// of ten.
func checkDigit(digits string) byte {
	sum, weight := 0, 3
	for i := len(digits) - 1; i >= 0; i-- {
		sum += weight * int(digits[i]-'0')
		weight = 4 - weight // 3, 1, 3 …
	}
	return byte('0' + (10-sum%10)%10)
}
