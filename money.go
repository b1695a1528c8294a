package catalog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Decimal is an exact, non-negative amount: Units + Nanos/1e9, with
// 0 ≤ Units < 1e15 and 0 ≤ Nanos < 1e9. It is never a float on any path.
type Decimal struct {
	Units int64
	Nanos int32
}

const maxUnits = 1_000_000_000_000_000

// ParseDecimal reads plain decimal notation: digits, and at most nine more
// behind a point. Signs, exponents, blanks and separators are refused.
func ParseDecimal(s string) (Decimal, error) {
	whole, frac, point := strings.Cut(s, ".")
	if !digits(whole) || point && !digits(frac) {
		return Decimal{}, errors.New(`must be a decimal number in a string, such as "149.90"`)
	}
	if len(frac) > 9 {
		return Decimal{}, errors.New("must have at most 9 digits behind the point")
	}
	units, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || units >= maxUnits {
		return Decimal{}, errors.New("must be less than 1000000000000000")
	}
	nanos, _ := strconv.ParseInt((frac + "000000000")[:9], 10, 32)
	return Decimal{Units: units, Nanos: int32(nanos)}, nil
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// valid says whether d keeps the ranges of the type.
func (d Decimal) valid() bool {
	return 0 <= d.Units && d.Units < maxUnits && 0 <= d.Nanos && d.Nanos < 1e9
}

// Cmp is -1, 0 or +1 as d is less than, equal to or greater than e.
func (d Decimal) Cmp(e Decimal) int {
	switch {
	case d.Units < e.Units, d.Units == e.Units && d.Nanos < e.Nanos:
		return -1
	case d == e:
		return 0
	}
	return 1
}

// text is d with at least min digits behind the point, and as many more as it
// needs.
func (d Decimal) text(min int) string {
	frac := fmt.Sprintf("%09d", d.Nanos)
	n := len(strings.TrimRight(frac, "0"))
	if n < min {
		n = min
	}
	if n == 0 {
		return strconv.FormatInt(d.Units, 10)
	}
	return strconv.FormatInt(d.Units, 10) + "." + frac[:n]
}

// String is the shortest decimal notation.
func (d Decimal) String() string { return d.text(0) }

// Money is an amount in a currency: the shape of google.type.Money.
type Money struct {
	Decimal
	Currency string // ISO 4217, such as EUR
}

// Amount is the decimal notation with the digits of the currency: "265.00" for
// SAR, "265" for JPY.
func (m Money) Amount() string { return m.text(CurrencyDigits(m.Currency)) }

// validate adds to r what is wrong with m.
func (m Money) validate(r *Refusal) {
	n := CurrencyDigits(m.Currency)
	switch {
	case m.Currency == "":
		r.Add("price.currency", "is missing; give an ISO 4217 code such as EUR")
	case n < 0:
		r.Add("price.currency", fmt.Sprintf("%.8q is not a currency of ISO 4217; give a code such as EUR", m.Currency))
	case !m.valid():
		r.Add("price.amount", "must be at least 0 and less than 1000000000000000")
	case len(strings.TrimRight(fmt.Sprintf("%09d", m.Nanos), "0")) > n:
		r.Add("price.amount", fmt.Sprintf("must have at most %d digits behind the point in %s", n, m.Currency))
	}
}

// CurrencyDigits is the number of digits behind the point that a currency of
// ISO 4217 has, or -1 for what is not one.
func CurrencyDigits(code string) int {
	if len(code) != 3 || strings.ContainsRune(code, ' ') {
		return -1
	}
	for n, codes := range currencies {
		if strings.Contains(codes, code) {
			return n
		}
	}
	return -1
}

// currencies lists the active currencies of ISO 4217 by their minor digits, as
// of the list published by SIX on 2025-05-12. Codes of funds, metals and tests
// are left out: no shop has prices in them.
var currencies = [...]string{
	0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF ",
	1: "",
	2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD " +
		"CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD " +
		"HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN " +
		"NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL " +
		"THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG ",
	3: "BHD IQD JOD KWD LYD OMR TND ",
}
