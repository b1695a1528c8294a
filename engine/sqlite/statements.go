package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// maxStatements is the number of prepared statements that a connection keeps. This
// package has fewer, apart from migrations.
const maxStatements = 64

// connector is the data source name of a database. It implements
// driver.Connector without registering a driver globally. Its connections keep their
// prepared statements.
type connector string

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return &sqlite.Driver{} }

// Connect implements driver.Connector.
func (c connector) Connect(context.Context) (driver.Conn, error) {
	opened, err := c.Driver().Open(string(c))
	if err != nil {
		return nil, err
	}
	conn, ok := opened.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("SQLite driver: %T lacks methods of a connection", opened), opened.Close())
	}
	return &statementConn{sqliteConn: conn, free: map[string]sqliteStmt{}}, nil
}

// sqliteConn has the methods of the driver's connection, without those that execute
// statements that are not prepared: database/sql then prepares each statement.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteStmt has the methods of the driver's statement.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statementConn is a connection that keeps a prepared statement after its use, for
// the next statement with the same text. One goroutine at a time uses it.
type statementConn struct {
	sqliteConn
	free map[string]sqliteStmt // statements that are not in use, by text
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *statementConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	if s, ok := c.free[text]; ok {
		delete(c.free, text)
		return &statement{s, c, text}, nil
	}
	prepared, err := c.sqliteConn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(sqliteStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("SQLite driver: %T lacks methods of a statement", prepared), prepared.Close())
	}
	return &statement{s, c, text}, nil
}

// Close closes the connection and its statements.
func (c *statementConn) Close() error {
	var errs []error
	for _, s := range c.free {
		errs = append(errs, s.Close())
	}
	clear(c.free)
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// statement is a prepared statement in use.
type statement struct {
	sqliteStmt
	conn *statementConn
	text string
}

// Close ends the use of the statement.
func (s *statement) Close() error {
	if _, ok := s.conn.free[s.text]; ok || len(s.conn.free) >= maxStatements {
		return s.sqliteStmt.Close()
	}
	s.conn.free[s.text] = s.sqliteStmt
	return nil
}
