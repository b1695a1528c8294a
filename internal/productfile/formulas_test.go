package productfile_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/productfile"
)

func TestWriter_formulas(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`=cmd|' /C calc'!A0`, "+1", "-1", "@SUM(A1)", "\t=1"} {
		p := catalog.Product{ProductData: catalog.ProductData{Name: text, Attributes: map[string]string{"=key": text}}}
		for neutralize, want := range map[bool]string{true: "'" + text, false: text} {
			var out strings.Builder
			w := productfile.NewWriter(&out, true, []string{"=key"})
			w.NeutralizeFormulas = neutralize
			if err := w.Write(p); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			lines, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, cell := range lines[1] {
				if cell == want {
					n++
				}
			}
			if n != 2 {
				t.Errorf("NeutralizeFormulas %v: the line is %q; want %q as name and attribute", neutralize, lines[1], want)
			}
		}
	}
}
