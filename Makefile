# Pitwall. Nothing to install but Go: a C compiler (for the race detector) and
# tmux are used where they are found, and so are redis-server and nginx by tests.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0
GOFUMPT     = mvdan.cc/gofumpt@v0.10.0

export CGO_ENABLED = 0

CC_FOUND := $(shell command -v "$${CC:-cc}" 2>/dev/null)
TEST = CGO_ENABLED=1 go test -race
ifeq ($(CC_FOUND),)
TEST = echo "=== NOTICE: no C compiler found, testing WITHOUT the race detector (install gcc)" >&2; go test
endif
NOTICES = for tool in tmux redis-server nginx; do PATH="$$PATH:/usr/sbin" command -v $$tool >/dev/null || echo "=== NOTICE: $$tool not found, the tests that run it are SKIPPED (install $$tool)" >&2; done
# The packages whose tests hold golden frames: the others know no -update.
GOLDEN = go list -test -f '{{.ImportPath}} {{.Deps}}' ./ui/... ./views/... | awk '$$1 ~ /[.]test$$/ && /x\/exp\/golden/ {sub(/[.]test$$/, "", $$1); print $$1}'

.PHONY: help run test lint bench build golden
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## start the console on the demo apps, state in .demo
	@./bin/pitwall --demo --state .demo

test: ## run every test, with the race detector where a C compiler is found
	@$(NOTICES); $(TEST) $(TESTFLAGS) ./...

lint: ## go vet, staticcheck and gofumpt, all pinned
	@go vet ./... && go run $(STATICCHECK) ./... && out=$$(go run $(GOFUMPT) -l .) && { [ -z "$$out" ] || { echo "gofumpt would change:" >&2; echo "$$out" >&2; exit 1; }; }

bench: build ## run the benchmarks, then print each promised figure beside its bound
	@go test -run=NONE -bench=. -benchmem ./... && go test -count=1 -tags=figures -run=TestFigures -v ./cmd/pitwall

build: ## build bin/pitwall, one static file
	@go build -trimpath -ldflags="-s -w" -o bin/pitwall ./cmd/pitwall

golden: ## rewrite the golden frames: read the difference as a picture
	@go test $$($(GOLDEN)) -update
