package sqlite

import (
	"database/sql/driver"
	"testing"
)

func TestStatements(t *testing.T) {
	t.Parallel()
	conn, err := connector(":memory:").Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := conn.(*statementConn)
	prepare := func(text string) *statement {
		t.Helper()
		s, err := c.PrepareContext(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		return s.(*statement)
	}
	end := func(s driver.Stmt) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	one := prepare("SELECT 1")
	two := prepare("SELECT 1")
	if one.sqliteStmt == two.sqliteStmt {
		t.Error("two statements in use at once are the same")
	}
	end(one)
	end(two)
	again := prepare("SELECT 1")
	if again.sqliteStmt != one.sqliteStmt {
		t.Error("a statement is prepared again for its next use")
	}
	if other := prepare("SELECT 2"); other.sqliteStmt == one.sqliteStmt {
		t.Error("a statement with another text is the same")
	}
	end(again)
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
