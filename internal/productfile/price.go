package productfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"catalog"
)

// symbols are the signs and short names of currencies in prices, and the codes that they
// can mean, the most frequent one first. A code of ISO 4217 means itself.
var symbols = map[string][]string{
	"€": {"EUR"}, "EURO": {"EUR"}, "EUROS": {"EUR"}, "£": {"GBP"}, "₹": {"INR"}, "₽": {"RUB"}, "РУБ": {"RUB"}, "Р": {"RUB"}, "₩": {"KRW"},
	"₺": {"TRY"}, "TL": {"TRY"}, "₴": {"UAH"}, "ГРН": {"UAH"}, "ZŁ": {"PLN"}, "KČ": {"CZK"}, "FT": {"HUF"}, "LEI": {"RON"}, "ЛВ": {"BGN"},
	"₫": {"VND"}, "฿": {"THB"}, "บาท": {"THB"}, "원": {"KRW"}, "₪": {"ILS"}, "₦": {"NGN"}, "₱": {"PHP"}, "R$": {"BRL"}, "FR.": {"CHF"}, "SFR": {"CHF"},
	"﷼": {"SAR", "IRR", "QAR", "OMR", "YER"}, "ر.س": {"SAR"}, "د.إ": {"AED"}, "DHS": {"AED", "MAD"}, "RM": {"MYR"}, "RP": {"IDR"}, "R": {"ZAR"},
	"S/": {"PEN"}, "BS": {"BOB", "VES"}, "₡": {"CRC"}, "₲": {"PYG"}, "RD$": {"DOP"}, "₸": {"KZT"}, "₼": {"AZN"}, "₾": {"GEL"}, "֏": {"AMD"}, "৳": {"BDT"}, "TK": {"BDT"},
	"₵": {"GHS"}, "KSH": {"KES"}, "₮": {"MNT"}, "₭": {"LAK"}, "៛": {"KHR"}, "₨": {"INR", "PKR", "LKR", "NPR", "MUR", "SCR"}, "DIN": {"RSD"}, "ДИН": {"RSD"}, "KM": {"BAM"},
	"KD": {"KWD"}, "د.ك": {"KWD"}, "BD": {"BHD"}, "JD": {"JOD"}, "QR": {"QAR"}, "SR": {"SAR"}, "DH": {"AED", "MAD"}, "LE": {"EGP"}, "ج.م": {"EGP"}, "د.م": {"MAD"}, "DT": {"TND"},
	"US$": {"USD"}, "CA$": {"CAD"}, "C$": {"CAD"}, "A$": {"AUD"}, "AU$": {"AUD"}, "NZ$": {"NZD"}, "HK$": {"HKD"}, "S$": {"SGD"}, "NT$": {"TWD"}, "MX$": {"MXN"},
	"$":   {"USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "ARS", "CLP", "COP", "BSD", "BBD", "BMD", "BND", "BZD", "FJD", "GYD", "JMD", "KYD", "LRD", "NAD", "SBD", "SRD", "TTD", "UYU", "XCD"},
	"¥":   {"JPY", "CNY"},
	"￥":   {"JPY", "CNY"},
	"元":   {"CNY", "TWD"},
	"円":   {"JPY"},
	"RS":  {"INR", "PKR", "LKR", "NPR", "MUR", "SCR"},
	"KR":  {"", "SEK", "NOK", "DKK", "ISK"}, // no currency is the most frequent
	"KR.": {"DKK", "SEK", "NOK", "ISK"},
}

// price is a price as its cell writes it.
type price struct {
	amount   string // amount in plain decimal notation
	currency string // code of ISO 4217, or "" if the cell has none
}

// pence is the currency of prices that are a hundredth of pounds.
const pence = "GBp"

var errPence = errors.New("is in pence (GBp); write it in pounds, with GBP")

// parsePrice reads a price as feeds write it: with a currency before or after the number,
// or none, and with separators of thousands. decimal is the decimal separator, or "" if
// the notation decides. known is the currency that the row or the format states, which
// decides what a symbol means that several currencies share.
func parsePrice(cell, decimal, known string) (price, error) {
	s := normaliseDigits(oneLine(cell))
	switch {
	case scientific.MatchString(s):
		return price{}, errors.New("was shortened by a spreadsheet; format the column as a number, and export the file again")
	case date.MatchString(s), dayAndMonth.MatchString(s):
		return price{}, errors.New("is a date, which a spreadsheet may have made of a price; format the column as a number, and enter the prices again")
	case !strings.ContainsFunc(s, unicode.IsDigit):
		return price{}, noNumber(oneLine(cell))
	}
	number, shown, sign, err := splitCurrency(s)
	if err != nil {
		return price{}, err
	}
	p := price{}
	if sign == pence {
		return price{}, errPence
	}
	if sign != "" {
		if p.currency, err = currencyOf(sign, known); err != nil {
			return price{}, err
		}
	}
	// A currency without a minor unit, such as JPY, has no decimal separator.
	if currency := cmp.Or(p.currency, known); decimal == "" && shown == "" && catalog.CurrencyDigits(currency) == 0 {
		if whole, ok := joinGroups(number); ok {
			number = whole
		}
	}
	p.amount, err = plainNumber(number, cmp.Or(decimal, shown))
	return p, err
}

// noNumber returns the error for a text without a number.
func noNumber(s string) error {
	if strings.Contains(s, ",") { // separates the texts of -nulls
		return errors.New("has no number; write 0 if the product is free, and nothing if it has no price")
	}
	return fmt.Errorf("has no number; write 0 if the product is free, or give -nulls %q if it has no price", s)
}

// normaliseDigits returns s with the digits and separators of ASCII, with one kind of
// apostrophe and dash, and without invisible characters.
func normaliseDigits(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= utf8.RuneSelf && unicode.IsDigit(r):
			return '0' + digitValue(r)
		case r == '٫', r == '，':
			return ','
		case r == '٬', r == '’', r == '‘', r == '´', r == '`', r == 'ʼ':
			return '\''
		case r == '．':
			return '.'
		case unicode.Is(unicode.Cf, r): // such as the marks of direction beside Arabic prices
			return -1
		case r == '–', r == '—', r == '−', r == '‐', r == '‑':
			return '-'
		}
		return r
	}, s)
}

// digitValue returns the value of a decimal digit of any script. Unicode has the ten digits
// of a script, or of a style, one after the other.
func digitValue(r rune) rune {
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10
		}
	}
	return 0
}

// noCents are the texts after a number that mean "no cents". If their first character is
// a point or a comma, that is the decimal separator.
var noCents = []string{",--", ".--", ":-", ",-", ".-", "/-", "/=", ",", "."}

// splitCurrency returns the number of a price, its decimal separator if the text after the
// number has it, and the currency before or after the number.
func splitCurrency(s string) (number, decimal, sign string, err error) {
	first := strings.IndexFunc(s, unicode.IsDigit)
	last := strings.LastIndexFunc(s, unicode.IsDigit) + 1
	number, before, after := s[first:last], strings.TrimSpace(s[:first]), s[last:]
	for _, none := range noCents {
		if rest, ok := strings.CutPrefix(after, none); ok {
			if after = rest; len(none) > 1 && strings.ContainsAny(none[:1], ".,") {
				decimal = none[:1]
			}
			break
		}
	}
	after = strings.TrimSpace(strings.TrimRight(after, "* ")) // of a footnote
	if lead, ok := strings.CutSuffix(before, "-"); ok && (lead == "" || isSign(lead)) || after == "-" || before == "(" && after == ")" {
		return "", "", "", errors.New("is negative; a price is 0 or more")
	}
	switch before {
	case ".", ",": // .50
		number, before = "0"+before+number, ""
	case "+":
		before = ""
	}
	sign, err = oneSign(before, after)
	return number, decimal, sign, err
}

// oneSign returns the currency of a price with a text before and one after its number. Of a
// symbol and a code, as in "$ 15.00 USD", the code is clearer.
func oneSign(before, after string) (string, error) {
	signs := strings.Fields(before + " " + after)
	if before == "" || after == "" {
		if together := strings.Join(signs, ""); isSign(together) { // as US $
			return together, nil
		}
	}
	found := ""
	for _, sign := range signs {
		switch {
		case !isSign(sign):
			return "", notPrice()
		case found == "", strings.EqualFold(found, sign), slices.Contains(symbols[symbolOf(found)], strings.ToUpper(sign)):
			found = sign
		case !slices.Contains(symbols[symbolOf(sign)], strings.ToUpper(found)):
			return "", fmt.Errorf("has two currencies, %s and %s", found, sign)
		}
	}
	return found, nil
}

// symbolOf returns the symbol as the table has it: with a point at its end or without.
func symbolOf(sign string) string {
	sign = strings.ToUpper(sign)
	if _, ok := symbols[sign]; !ok {
		return strings.TrimSuffix(sign, ".")
	}
	return sign
}

func isSign(s string) bool {
	_, symbol := symbols[symbolOf(s)]
	return symbol || catalog.CurrencyDigits(strings.ToUpper(s)) >= 0
}

func notPrice() error {
	return errors.New("is not a price; write a number with or without a currency, such as 149.90 or 149.90 EUR")
}

// currencyOf returns the code that a symbol or code means.
func currencyOf(sign, known string) (string, error) {
	codes, ok := symbols[symbolOf(sign)]
	switch {
	case !ok:
		return strings.ToUpper(sign), nil
	case slices.Contains(codes, known) && known != "":
		return known, nil
	case codes[0] == "":
		return "", fmt.Errorf("has %s, which can be %s; say which one with -currency", strings.ToLower(sign), strings.Join(codes[1:], ", "))
	}
	return codes[0], nil
}

// plainNumber returns a number in plain decimal notation, without trailing zeros: the
// number of digits after the point must not exceed that of the currency, and zeros mean
// nothing.
func plainNumber(s, decimal string) (string, error) {
	plain, err := removeThousands(s, decimal)
	if err != nil {
		return "", err
	}
	if _, err := catalog.ParseDecimal(plain); err != nil {
		return "", err
	}
	if strings.Contains(plain, ".") {
		plain = strings.TrimRight(strings.TrimRight(plain, "0"), ".")
	}
	return plain, nil
}

// removeThousands returns s with a point as its decimal separator, and no other one.
func removeThousands(s, decimal string) (string, error) {
	if strings.Trim(s, "0123456789.,' ") != "" {
		return "", notPrice()
	}
	if decimal == "" {
		var err error
		if decimal, err = recogniseDecimal(s); err != nil {
			return "", err
		}
	}
	whole, fraction, _ := strings.Cut(s, decimal)
	if strings.Trim(fraction, "0123456789") != "" {
		switch {
		case decimal == "," && strings.Contains(s, "."), decimal == "." && strings.Contains(s, ","):
			return "", fmt.Errorf("has separators in an order that does not fit -decimal %q", decimal)
		}
		return "", fmt.Errorf("has separators that cannot be understood; with -decimal %q, %s stands once", decimal, decimal)
	}
	digits, ok := joinGroups(whole)
	if !ok {
		other := map[string]string{".": ",", ",": "."}[decimal]
		if fraction == "" && strings.Contains(whole, other) {
			return "", fmt.Errorf("has %q before a group that is not three digits; give -decimal %q if that is the decimal separator", other, other)
		}
		return "", errors.New("has separators between groups that are not three digits")
	}
	if fraction == "" {
		return digits, nil
	}
	return digits + "." + fraction, nil
}

// recogniseDecimal returns the decimal separator of a number that has no flag for it.
func recogniseDecimal(s string) (string, error) {
	points, commas := strings.Count(s, "."), strings.Count(s, ",")
	switch {
	case points == 0 && commas == 0:
		return ".", nil
	case points > 0 && commas > 0: // the last one
		return s[strings.LastIndexAny(s, ".,") : strings.LastIndexAny(s, ".,")+1], nil
	}
	separator, other := ".", ","
	if commas > 0 {
		separator, other = ",", "."
	}
	if points+commas > 1 { // a decimal separator stands once
		return other, nil
	}
	whole, fraction, _ := strings.Cut(s, separator)
	if len(fraction) == 3 && len(whole) <= 3 && strings.TrimLeft(whole, "0") != "" && whole[0] != '0' {
		return "", fmt.Errorf("can be %s (give -decimal %q) or %s (give -decimal %q)", whole+"."+fraction, separator, whole+fraction, other)
	}
	return separator, nil
}

// joinGroups returns the digits of a whole number that may have separators of thousands,
// all alike: groups of three digits, or in Indian notation of two before the last.
func joinGroups(s string) (string, bool) {
	at := strings.IndexAny(s, "., '")
	if at < 0 {
		return s, s != ""
	}
	groups := strings.Split(s, s[at:at+1])
	last := len(groups) - 1
	if len(groups[0]) < 1 || len(groups[0]) > 3 || len(groups[last]) != 3 {
		return "", false
	}
	size := 3
	if last > 1 && len(groups[1]) == 2 {
		if size = 2; len(groups[0]) > 2 {
			return "", false
		}
	}
	for _, g := range groups[1:last] {
		if len(g) != size {
			return "", false
		}
	}
	digits := strings.Join(groups, "")
	return digits, strings.Trim(digits, "0123456789") == ""
}
