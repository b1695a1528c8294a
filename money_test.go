package catalog_test

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catalog"
)

func decimal(t testing.TB, s string) catalog.Decimal {
	t.Helper()
	d, err := catalog.ParseDecimal(s)
	if err != nil {
		t.Fatalf("ParseDecimal(%q): %v", s, err)
	}
	return d
}

func decimals() *rapid.Generator[catalog.Decimal] {
	return rapid.Custom(func(t *rapid.T) catalog.Decimal {
		return catalog.Decimal{
			Units: rapid.Int64Range(0, 999_999_999_999_999).Draw(t, "units"),
			Nanos: rapid.Int32Range(0, 999_999_999).Draw(t, "nanos"),
		}
	})
}

func TestDecimal(t *testing.T) {
	t.Run("parsing is exact", func(t *testing.T) {
		for s, want := range map[string]catalog.Decimal{
			"0": {}, "0.0": {}, "00": {}, "0.000000001": {Nanos: 1}, "1": {Units: 1}, "007.50": {Units: 7, Nanos: 500_000_000},
			"0.1": {Nanos: 100_000_000}, "0.10": {Nanos: 100_000_000}, "19.99": {Units: 19, Nanos: 990_000_000},
			"12345678901234.89":           {Units: 12_345_678_901_234, Nanos: 890_000_000}, // a float64 cannot represent it
			"999999999999999.999999999":   {Units: 999_999_999_999_999, Nanos: 999_999_999},
			"0000000000000000000000001.5": {Units: 1, Nanos: 500_000_000},
		} {
			if got := decimal(t, s); got != want {
				t.Errorf("ParseDecimal(%q) = %v, want %v", s, got, want)
			}
		}
	})
	t.Run("String returns the shortest text that parses to the same value", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			d := decimals().Draw(t, "decimal")
			s := d.String()
			if got, err := catalog.ParseDecimal(s); err != nil || got != d {
				t.Fatalf("ParseDecimal(%q) = %v, %v; want %v", s, got, err, d)
			}
			if strings.Contains(s, ".") && strings.HasSuffix(s, "0") {
				t.Fatalf("String = %q; want no trailing zero", s)
			}
		})
	})
	t.Run("Cmp orders by numeric value", func(t *testing.T) {
		number := func(d catalog.Decimal) *big.Rat {
			r, _ := new(big.Rat).SetString(d.String())
			return r
		}
		rapid.Check(t, func(t *rapid.T) {
			d := decimals().Draw(t, "d")
			e := rapid.OneOf(decimals(), rapid.Just(d), rapid.Map(decimals(), func(e catalog.Decimal) catalog.Decimal {
				e.Units = d.Units
				return e
			})).Draw(t, "e")
			if got, want := d.Cmp(e), number(d).Cmp(number(e)); got != want {
				t.Fatalf("%v.Cmp(%v) = %d, want %d", d, e, got, want)
			}
		})
	})
	for _, s := range []string{
		"", ".", "1.", ".5", "-1", "+1", "-0", "1e3", "1E3", "0x10", "1,5", "1_000", "1 000", " 1", "1 ", "1.2.3", "NaN", "Inf", "∞", "١", "1.-5", "$1",
		"0.0000000001", "0.0000000000", // ten digits
		"1000000000000000", "9223372036854775808", strings.Repeat("9", 400),
	} {
		t.Run(s+" is refused", func(t *testing.T) {
			if d, err := catalog.ParseDecimal(s); err == nil || d != (catalog.Decimal{}) {
				t.Fatalf("ParseDecimal(%q) = %v, %v; want an error", s, d, err)
			}
		})
	}
}

func TestMoney(t *testing.T) {
	t.Run("Amount has the digits of the currency", func(t *testing.T) {
		for _, c := range []struct{ amount, currency, want string }{
			{"265", "SAR", "265.00"}, {"265.5", "EUR", "265.50"}, {"265", "JPY", "265"}, {"1.5", "KWD", "1.500"},
			{"0", "EUR", "0.00"}, {"0", "JPY", "0"}, {"999999999999999.99", "EUR", "999999999999999.99"},
		} {
			if got := (catalog.Money{Decimal: decimal(t, c.amount), Currency: c.currency}).Amount(); got != c.want {
				t.Errorf("Amount of %s %s = %q, want %q", c.amount, c.currency, got, c.want)
			}
		}
	})
	t.Run("Amount drops no digit", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			m := catalog.Money{
				Decimal:  decimals().Draw(t, "amount"),
				Currency: rapid.SampledFrom([]string{"EUR", "JPY", "KWD", "", "???"}).Draw(t, "currency"),
			}
			if got, err := catalog.ParseDecimal(m.Amount()); err != nil || got != m.Decimal {
				t.Fatalf("Amount = %q, which parses to %v, %v; want %v", m.Amount(), got, err, m.Decimal)
			}
		})
	})
}

func TestCurrencyDigits(t *testing.T) {
	t.Run("current currencies have their digits", func(t *testing.T) {
		for digits, codes := range map[int]string{
			0: "CLP ISK JPY KRW PYG UGX VND XAF XOF XPF",
			2: "AED AUD BRL CAD CHF CNY CZK DKK EGP EUR GBP HKD HUF IDR ILS INR MXN NOK NZD PLN RON RUB SAR SEK SGD SLE THB TRY TWD UAH USD VED XCG ZAR ZWG",
			3: "BHD IQD JOD KWD LYD OMR TND",
		} {
			for code := range strings.FieldsSeq(codes) {
				if got := catalog.CurrencyDigits(code); got != digits {
					t.Errorf("CurrencyDigits(%s) = %d, want %d", code, got, digits)
				}
			}
		}
	})
	t.Run("other codes, former currencies, funds and metals have none", func(t *testing.T) {
		for _, code := range []string{
			"", " ", "   ", "E", "EU", "EURO", "eur", "Eur", "R E", "EUR ", " EUR", "UR ", "€", "\x00\x00\x00", "DEM", "HRK", "ANG", "SLL", "ZWL", "CUC",
			"XAU", "XXX", "XTS", "CHE", "CLF", "UYI", "BTC", "ABC",
		} {
			if got := catalog.CurrencyDigits(code); got != -1 {
				t.Errorf("CurrencyDigits(%q) = %d, want -1", code, got)
			}
		}
	})
	t.Run("the number of currencies is that of ISO 4217", func(t *testing.T) {
		var known []string
		for a := 'A'; a <= 'Z'; a++ {
			for b := 'A'; b <= 'Z'; b++ {
				for c := 'A'; c <= 'Z'; c++ {
					if code := string([]rune{a, b, c}); catalog.CurrencyDigits(code) >= 0 {
						known = append(known, code)
					}
				}
			}
		}
		if len(known) != 156 {
			t.Errorf("%d currencies; want 156: %s", len(known), slices.Collect(slices.Values(known)))
		}
	})
}
