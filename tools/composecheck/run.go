package main

import "context"

func runStack(ctx context.Context, r repository) error { return nil }
