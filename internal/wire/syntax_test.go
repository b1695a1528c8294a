package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catalog/internal/wire"
)

func TestParse_syntax(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ body, want string }{
		{`{"name":"x",}`, `at column 13: JSON has no comma before }`},
		{`{"tags":["a",]}`, `at column 14 (in tags[1]): JSON has no comma before ]`},
		{`{"name":}`, `at column 9 (in name): a value is missing before }`},
		{`{"tags":[,"a"]}`, `at column 10 (in tags[0]): a value is missing before ,`},
		{`{"name":"x" "sku":"y"}`, `at column 13: a comma is missing here`},
		{`{"tags":["a" "b"]}`, `at column 14 (in tags[1]): a comma is missing here`},
		{`{"name" "x"}`, `at column 9 (in name): a colon is missing after the name`},
		{`{"price":{"amount" 5}}`, `at column 20 (in price.amount): a colon is missing after the name`},
		{`{name:"x"}`, `at column 2: the name name must stand in double quotes`},
		{`{'name':'x'}`, `at column 2: names and texts stand in double quotes ("), not in '`},
		{`{“name”:"x"}`, `at column 2: names and texts stand in double quotes ("), not in “`},
		{"name=chair", `at column 1: it begins with n, not with {`},
		{"// first\n{}", `at line 1, column 1: it begins with /, not with {`},
		{"{\n  \"name\": \"x\", # why\n}", `at line 2, column 16: JSON has no comments`},
		{`{"brand":NaN}`, `at column 10 (in brand): NaN is not a value in JSON`},
		{`{"brand":True}`, `at column 10 (in brand): True is not a value in JSON`},
		{`{"brand":Café}`, `at column 10 (in brand): Café is not a value in JSON`},
		{`{"brand":01}`, `at column 10: 01 is not a number in JSON; in double quotes it is a text`},
		{`{"price":{"amount":.5}}`, `at column 20 (in price.amount): .5 is not a number in JSON`},
		{`{"price":{"amount":0x10}}`, `at column 20 (in price): 0x10 is not a number in JSON`},
		{`{"price":{"amount":-}}`, `at column 20 (in price.amount): - is not a number in JSON`},
		{"{\"name\":\"a\nb\"}", `at line 1, column 11 (in name): the text has a line break; write \n`},
		{"{\"name\":\"a\tb\"}", `at column 11 (in name): the text has a tab; write \t`},
		{"{\"name\":\"a\x00b\"}", `at column 11 (in name): the text has the control character U+0000; write \u0000`},
		{`{"name":"C:\x"}`, `at column 12 (in name): \x is not an escape of JSON; write \\ for a backslash`},
		{`{"name":"\u12"}`, `at column 10 (in name): \u must be followed by four hexadecimal digits`},
		{`{"tags":["a"}`, `at column 13 (in tags): } does not close the bracket that was opened last`},
		{`{"name":"x";}`, `at column 12: a comma is missing here`},
	} {
		_, err := wire.ParsePatch([]byte(tt.body))
		if err == nil || !strings.Contains(err.Error(), "is not JSON "+tt.want) {
			t.Errorf("%s = %v; want %q", tt.body, err, tt.want)
		}
	}
	t.Run("a damaged object is refused in the words of the catalogue", func(t *testing.T) {
		const good = `{"name":"a\"b","price":{"amount":"1.50","currency":"EUR"},"tags":["a",null,-1.5e3,true],"attributes":{}}`
		rapid.Check(t, func(t *rapid.T) {
			body := []byte(good)
			for range rapid.IntRange(1, 3).Draw(t, "damages") {
				at := rapid.IntRange(0, len(body)-1).Draw(t, "at")
				body[at] = rapid.SampledFrom([]byte("{}[],:\"'\\x0-.+ \n\t/é")).Draw(t, "byte")
			}
			_, err := wire.ParsePatch(body)
			switch {
			case err == nil && !json.Valid(body):
				t.Fatalf("%q is accepted", body)
			case err != nil && strings.Contains(err.Error(), "invalid character"):
				t.Fatalf("%q = %v; want no message of Go's parser", body, err)
			}
		})
	})
	t.Run("a repeated member is named by its path", func(t *testing.T) {
		for body, want := range map[string]string{
			`{"name":"a","name":"b"}`: "name is given twice", `{"price":{"amount":"1","amount":"2"}}`: "price.amount is given twice",
			`{"tags":[{"a":1,"a":2}]}`: "tags[0].a is given twice",
		} {
			if _, err := wire.ParsePatch([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s = %v; want %q", body, err, want)
			}
		}
	})
	t.Run("a byte-order mark is ignored", func(t *testing.T) {
		if p, err := wire.ParsePatch([]byte("\uFEFF{\"brand\":\"Acme\"}")); err != nil || *p.Brand != "Acme" {
			t.Errorf("ParsePatch = %+v, %v; want the brand", p, err)
		}
	})
}
