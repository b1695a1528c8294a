package productfile

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"catalog"
)

// columnNames are other names of fields in the files of shops and suppliers, without blanks,
// by field. They are suggested for -map, and never read without it.
var columnNames = map[string]string{
	"sku": `variantsku itemsku sellersku merchantsku productsku customlabel internalreference defaultcode ordernumber itemno itemnumber itemid itemcode articleno articlenumber articleid productcode productid productno productnumber partnumber partno stockcode code ref reference
		artikelnummer artikelnr artnr artikelno artikel artikelid artikelcode bestellnummer bestellnr produktnummer produktnr materialnummer sachnummer referenz
		refproduit refarticle referenceproduit referencearticle codearticle codeproduit codigo referencia codigoproducto codigoarticulo codice codicearticolo riferimento
		indeks symbol kod kodproduktu varenummer varenr katalogovecislo urunkodu stokkodu артикул код 商品コード 商品番号 品番 商品编号 商品編號 货号 商品编码 상품코드 품번`,
	"gtin": `ean ean13 eancode eannummer gtin13 gtin14 upc isbn barcode strichcode codebarres codebarre codigodebarras codiceabarre codiceean streepjescode kodkreskowy kodean
		streckkod stregkode carovykod barkod штрихкод штрихкодean jan jancode 条码 條碼 バーコード 바코드`,
	"name": `title productname producttitle itemname articlename bezeichnung artikelbezeichnung produktbezeichnung produktname artikelname titel
		designation nom titre libelle nomproduit nomduproduit nombre titulo nombreproducto denominación nome titolo denominazione nomeprodotto nomedoproduto naam productnaam
		nazwa nazwaproduktu namn benamning produktnamn navn varenavn nazev nazevproduktu urunadi название наименование 商品名 商品名称 商品名稱 名称 品名 상품명`,
	"brand": `brandname manufacturer vendor maker marke hersteller markenname marque fabricant marca fabricante produttore merk fabrikant marka producent
		varumarke tillverkare maerke mærke znacka vyrobce бренд производитель ブランド メーカー 品牌 브랜드`,
	"description": `desc longdescription fulldescription details bodyhtml beschreibung produktbeschreibung artikelbeschreibung langtext langbeschreibung
		descriptif descriptionlongue descripción descrizione omschrijving beschrijving opis descricao beskrivning beskrivelse popis aciklama описание 説明 商品説明 描述 설명`,
	"price": `unitprice startprice standardprice pricegross priceincltax saleprice sellingprice listprice retailprice grossprice netprice regularprice preis verkaufspreis vkpreis vk bruttopreis nettopreis einzelpreis
		listenpreis preisbrutto preisnetto uvp prix prixttc prixht prixdevente prixunitaire tarif precio pvp precioventa prezzo prezzodivendita prijs verkoopprijs
		cena cenabrutto cenanetto preco precovenda pris fiyat цена 価格 販売価格 价格 價格 售价 가격 판매가`,
	"currency": `currency currencycode wahrung devise moneda divisa valuta waluta moeda mena parabirimi валюта 通貨 币种 통화`,
	"category": `categories categoryname categorypath producttype productcategory productgroup productcategories department kategorie kategorien warengruppe produktgruppe artikelgruppe
		categorie rayon famille famillesproduits categoria categorias familia kategoria kategori kategorier категория категории カテゴリ カテゴリー 分类 分類 카테고리`,
	"tags": `tag keywords labels schlagworte schlagworter stichworte suchbegriffe motscles etiquettes etiquetas palabrasclave etichette trefwoorden tagi nyckelord теги タグ 标签 태그`,
}

// fieldOfName is the field of each of columnNames and of each field's own name.
var fieldOfName = func() map[string]string {
	of := map[string]string{}
	for i := range catalog.Fields {
		if f := &catalog.Fields[i]; f.Kind != catalog.KindMap {
			of[letters(f.Name)] = f.Name
		}
	}
	for field, names := range columnNames {
		for name := range strings.FieldsSeq(names) {
			of[letters(name)] = field
		}
	}
	return of
}()

// letters returns the letters and digits of the name of a column in lower case, without accents and
// without text in brackets.
func letters(name string) string {
	if at := strings.IndexAny(name, "([{"); at > 0 {
		name = name[:at]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, norm.NFKD.String(name)) // NFKD makes accents characters of their own
}

// localeSuffix matches the language at the end of a column's name, which a channel may
// follow: name-en_US, description-de_DE-ecommerce, title.fr.
var localeSuffix = regexp.MustCompile(`(?i)[-_. ](en|de|fr|es|it|nl|pl|pt|sv|da|fi|nb|cs|hu|ro|ru|tr|ja|zh|ko|ar)([-_][a-z]{2})?([-_.][a-z]+)?$`)

// namespace matches a short prefix, as of the names in Google's XML: g:title.
var namespace = regexp.MustCompile(`^[a-zA-Z]{1,2}:`)

// likelyField returns the field that a column probably belongs to by its name, or "". The name
// may begin with product, variant or item, and end with a currency or a language.
func likelyField(name string) string {
	for _, name := range []string{name, namespace.ReplaceAllString(localeSuffix.ReplaceAllString(name, ""), "")} {
		name = letters(name)
		bases := []string{name}
		if at := len(name) - 3; at > 0 && catalog.CurrencyDigits(strings.ToUpper(name[at:])) >= 0 {
			bases = append(bases, name[:at])
		}
		for _, base := range bases {
			if field := fieldOfName[base]; field != "" {
				return field
			}
			for _, about := range []string{"product", "variant", "item"} {
				if rest, ok := strings.CutPrefix(base, about); ok && fieldOfName[rest] != "" {
					return fieldOfName[rest]
				}
			}
		}
	}
	return ""
}

// likelyFields returns the field of each column that has the name of a field, or probably
// is one, and "" for others. Only the first column of a field has it. A number that another
// system gave, such as product_id, is the SKU only if no other column is.
func likelyFields(header []string) []string {
	fields := make([]string, len(header))
	for i, name := range header {
		if c := namedColumns([]string{name}); len(c) > 0 && !slices.Contains(fields, c[0].To) {
			fields[i] = c[0].To
		}
	}
	for _, number := range []bool{false, true} {
		for i, name := range header {
			if fields[i] != "" || number != strings.HasSuffix(letters(name), "id") {
				continue
			}
			if field := likelyField(name); !slices.Contains(fields, field) {
				fields[i] = field
			}
		}
	}
	return fields
}

// suggestion returns the flag that probably reads the columns of a header: -preset for the files of
// a system, or -map. It returns "" if the columns have the names of fields, or nothing fits.
func suggestion(header []string) string {
	if len(header) > maxSuggested {
		return ""
	}
	named := len(namedColumns(header))
	fields := likelyFields(header)
	flag, columns := mapFlag(header, fields)
	if preset, n := likelyPreset(header); n > named && n >= columns {
		return "-preset " + preset
	}
	ids := slices.Contains(fields, idColumn)
	if ids && slices.Contains(fields, "sku") { // the flag does without the ids
		named--
	}
	if columns <= named || !ids && !slices.Contains(fields, "sku") {
		return ""
	}
	return flag
}

// mapFlag returns the flag that reads the columns with fields, and their number. An id
// beside an SKU is left out, and another one is the SKU: they are those of another system.
func mapFlag(header, fields []string) (flag string, columns int) {
	sku := slices.Contains(fields, "sku")
	var assigned []string
	for i, field := range fields {
		switch {
		case field == idColumn && sku:
			continue
		case field == idColumn:
			field = "sku"
		}
		if field != "" {
			assigned = append(assigned, field+"="+quoteColumn(header[i]))
		}
	}
	return "-map '" + strings.ReplaceAll(strings.Join(assigned, ","), "'", `'\''`) + "'", len(assigned)
}

// maxSuggested is the number of columns above which nothing is suggested, because it would
// take long. Files for people have fewer.
const maxSuggested = 500

// parsedPresets are the presets in the order of their names.
var parsedPresets = sync.OnceValue(func() []Mapping {
	var all []Mapping
	for _, name := range Presets() {
		m, _ := Preset(name) // TestPreset reads each preset, so none has an error
		all = append(all, m)
	}
	return all
})

// minPresetColumns is the number of columns from which a file is likely to be one of a preset.
const minPresetColumns = 5

// likelyPreset returns the preset that reads most columns of a header, SKU and price among
// them, and their number.
func likelyPreset(header []string) (preset string, columns int) {
	for p, m := range parsedPresets() {
		found, fields := map[int]bool{}, map[string]bool{}
		for _, c := range m.Columns {
			i := indexOf(header, c.From)
			if list, _, path := strings.Cut(c.From, "."); i < 0 && path { // a path in a JSON file
				i = indexOf(header, list)
			}
			if i >= 0 {
				found[i], fields[c.To] = true, true
			}
		}
		if n := len(found); n >= minPresetColumns && n > columns && fields["sku"] && fields["price"] {
			preset, columns = Presets()[p], n
		}
	}
	return preset, columns
}

// quoteColumn returns the name of a column as -map reads it.
func quoteColumn(name string) string {
	name = oneLine(name)
	if strings.ContainsAny(name, `,"`) {
		return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return name
}
