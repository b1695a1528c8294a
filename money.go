package catalog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Decimal is an exact, non-negative amount: Units + Nanos/1e9, with
// 0 ≤ Units < 1e15 and 0 ≤ Nanos < 1e9. No code converts it to a float.
type Decimal struct {
	Units int64
	Nanos int32
}

// maxUnits is the exclusive upper limit of Units: the contract allows 15 digits
// before the decimal point.
const maxUnits = 1_000_000_000_000_000

// ParseDecimal parses plain decimal notation: digits, and optionally a decimal
// point with one to nine digits. It returns an error for signs, exponents, spaces
// and thousands separators.
func ParseDecimal(s string) (Decimal, error) {
	whole, frac, point := strings.Cut(s, ".")
	if !digits(whole) || point && !digits(frac) {
		return Decimal{}, errors.New(`must be a decimal number in a string, such as "149.90"`)
	}
	if len(frac) > 9 {
		return Decimal{}, errors.New("must have at most 9 digits after the decimal point")
	}
	units, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || units >= maxUnits {
		return Decimal{}, errors.New("must be less than 1000000000000000")
	}
	nanos, _ := strconv.ParseInt((frac + "000000000")[:9], 10, 32)
	return Decimal{Units: units, Nanos: int32(nanos)}, nil
}

// digits reports whether s is one or more ASCII digits.
func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// valid reports whether Units and Nanos are within their ranges.
func (d Decimal) valid() bool {
	return 0 <= d.Units && d.Units < maxUnits && 0 <= d.Nanos && d.Nanos < 1e9
}

// Cmp returns -1, 0 or +1 if d is less than, equal to or greater than e.
func (d Decimal) Cmp(e Decimal) int {
	switch {
	case d.Units < e.Units, d.Units == e.Units && d.Nanos < e.Nanos:
		return -1
	case d == e:
		return 0
	}
	return 1
}

// text returns d in decimal notation, with at least minDigits digits after the
// decimal point and no other trailing zeros.
func (d Decimal) text(minDigits int) string {
	frac := fmt.Sprintf("%09d", d.Nanos)
	n := max(minDigits, len(strings.TrimRight(frac, "0")))
	if n == 0 {
		return strconv.FormatInt(d.Units, 10)
	}
	return strconv.FormatInt(d.Units, 10) + "." + frac[:n]
}

// String returns the shortest decimal notation, such as "149.9".
func (d Decimal) String() string { return d.text(0) }

// Money is an amount in a currency, structured as google.type.Money.
type Money struct {
	Decimal
	Currency string // currency code of ISO 4217, such as EUR
}

// Amount returns the decimal notation with the digits of the currency: "265.00"
// for SAR, "265" for JPY.
func (m Money) Amount() string { return m.text(CurrencyDigits(m.Currency)) }

// validate adds to r what is wrong with m.
func (m Money) validate(r *Refusal) {
	n := CurrencyDigits(m.Currency)
	switch {
	case m == Money{}:
		r.Add("price", `is missing; give an amount and a currency, such as {"amount": "149.90", "currency": "EUR"}`)
	case m.Currency == "":
		r.Add("price.currency", "is missing; give an ISO 4217 code such as EUR")
	case n < 0:
		r.Add("price.currency", fmt.Sprintf("%.8q is not a currency code of ISO 4217; give a code such as EUR", m.Currency))
	case !m.valid():
		r.Add("price.amount", "must be at least 0 and less than 1000000000000000")
	case len(strings.TrimRight(fmt.Sprintf("%09d", m.Nanos), "0")) > n:
		r.Add("price.amount", fmt.Sprintf("must have at most %d digits after the decimal point in %s", n, m.Currency))
	}
}

// CurrencyDigits returns the number of digits after the decimal point that ISO
// 4217 gives the currency, or -1 if code is not an active currency.
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

// currencies lists the active currencies of ISO 4217 by their number of digits
// after the decimal point, from the list that SIX published on 2025-05-12. It omits
// the codes of funds, metals and tests: no shop has prices in them.
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
