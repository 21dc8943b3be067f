// Command pitwall is the operations console, its server and its command line
// in one binary.
package main

import (
	"context"
	"os"

	"pitwall/backend/engine/process/keeper"
)

func main() {
	if code, mine := keeper.Dispatch(os.Args[1:]); mine {
		os.Exit(code)
	}
	os.Exit(run(context.Background(), os.Args[1:], osStdio()))
}
