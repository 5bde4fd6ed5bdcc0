# Two commands matter: `make run` boots the appliance, `make test` tests it.
# Everything else is in the help text: make help

SHELL       := /bin/sh
GO          ?= go
BUILD       := build
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Reproducible: no paths, no build id, no time stamp in the binary.
GOFLAGS_BIN := -trimpath -buildvcs=false -ldflags='-s -w -buildid= -X main.version=$(VERSION)'

# make run's knobs
NET     ?= lan
SITE    ?=
HTTP    ?= 127.0.0.1:8080
MANAGE  ?= 127.0.0.1:8081
DISK    ?= $(BUILD)/data.img
EXPIRE  ?= 60s
RUNARGS ?=

export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: run image build test lint cover bench gobench soak fuzz mutants rfc-coverage vendors demo clean help FORCE
.DEFAULT_GOAL := help

help:
	@echo 'make run     build the binary and the VM image, boot it, print the URLs (Ctrl-C stops it)'
	@echo '             NET=lan|user|tap  SITE=DIR  HTTP=$(HTTP)  MANAGE=$(MANAGE)  DISK=FILE'
	@echo 'make test    everything: format, vet, staticcheck, import policy, all tests with the race detector'
	@echo 'make demo    ten nodes on one switch in one process; leaves ten repositories in demo_results/'
	@echo 'make cover   coverage by package'
	@echo 'make bench   the store beside go-git and stock git, the observer beside arpwatch, with the bars they have to reach;'
	@echo '             ONLY=REGEXP some figures, BENCH=full longer ones; also as JSON in $(BUILD)/bench.json'
	@echo 'make gobench the benchmarks of all packages'
	@echo 'make fuzz    each fuzz target for FUZZTIME=$(FUZZTIME)'
	@echo 'make soak    the same, larger bounds in tests that try every case, and SOAK_COMMITS=$(SOAK_COMMITS) commits into a'
	@echo '             store of 64 MB and onto a disk of 256 MB (as root), with archives that are joined and compared;'
	@echo '             and 10,000 idle and 1,000 busy connections for LOAD_TIME=$(LOAD_TIME)'
	@echo 'make rfc-coverage   write docs/rfc-coverage.md anew from the clauses and from the marks above the tests'
	@echo 'make mutants disable each clause of the RFCs in turn; its tests have to fail (a part of make soak; ONLY=REGEXP some)'
	@echo 'make vendors OUI=DIR   renew the embedded table of MAC vendors from oui.txt, mam.txt, oui36.txt and iab.txt of the IEEE'
	@echo 'make clean   remove build/, test_results/ and demo_results/'

run: image
	@$(BUILD)/arpeggio vm run --install --image $(BUILD)/image --disk $(DISK) --net $(NET) --http $(HTTP) --manage $(MANAGE) --expire $(EXPIRE) $(RUNARGS)

build: $(BUILD)/arpeggio

$(BUILD)/arpeggio: FORCE
	@mkdir -p $(BUILD)
	@[ -e $@ ] || echo 'build  $@ (the first time takes a minute or two)'
	@CGO_ENABLED=0 $(GO) build $(GOFLAGS_BIN) -o $@ ./cmd/arpeggio

# The kernel is a Go module like any other dependency: pinned in go.mod,
# verified by go.sum, never committed here. The guest is Linux on amd64
# whatever the host is.
image: $(BUILD)/arpeggio
	@CGO_ENABLED=0 GOOS=linux GOARCH=amd64 $(GO) build $(GOFLAGS_BIN) -o $(BUILD)/arpeggio.guest ./cmd/arpeggio
	@$(GO) mod download github.com/gokrazy/kernel.amd64
	@$(BUILD)/arpeggio image build --init $(BUILD)/arpeggio.guest --out $(BUILD)/image $(if $(SITE),--site $(SITE)) \
		--kernel "$$($(GO) list -m -f '{{.Dir}}' github.com/gokrazy/kernel.amd64)/vmlinuz"

# Without vet: lint has just run it.
test: lint
	@sh scripts/ensure.sh
	@rm -rf test_results
	@$(GO) test -race -vet=off -timeout 12m -json ./... 2>&1 | $(GO) run ./internal/testsummary $(if $(CI),-expected .ci/expected-skips)

# As the binary is built that ships, and that tests run: one compilation serves all.
GOFLAGS_LINT := -trimpath -buildvcs=false
lint:
	@bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); [ -z "$$bad" ] || { echo "gofmt wants to change:"; echo "$$bad"; exit 1; }
	@CGO_ENABLED=0 GOFLAGS='$(GOFLAGS_LINT)' $(GO) vet ./...
	@CGO_ENABLED=0 GOFLAGS='$(GOFLAGS_LINT)' $(GO) tool staticcheck ./...
	@GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 GOFLAGS='$(GOFLAGS_LINT)' $(GO) build -o /dev/null ./...
	@echo 'lint  ok (gofmt, vet, staticcheck, build for macOS)'

cover:
	@$(GO) test -cover ./... 2>&1 | awk '$$0 ~ /coverage:/ { for (i=1;i<=NF;i++) if ($$i=="coverage:") printf "%-34s %s\n", ($$1=="ok" ? $$2 : $$1), $$(i+1) }'

# One binary, so that each figure shows as soon as it is taken. It also plays
# the servers whose memory is measured.
BENCH ?= 1
ONLY  ?=
bench:
	@mkdir -p $(BUILD)
	@CGO_ENABLED=0 $(GO) test -c -o $(BUILD)/bench.test ./bench
	@BENCH='$(BENCH)' ONLY='$(ONLY)' BENCH_JSON=$(BUILD)/bench.json $(BUILD)/bench.test

gobench:
	@$(GO) test -run '^$$' -bench . -benchmem ./...

# What make test does in a small way: 50,000 conversations of two TCP machines, 10,000 idle and
# 1,000 busy connections for LOAD_TIME, all histories of one commit more, a look by
# stock git after every crash, tens of thousands of torn and damaged images, and SOAK_COMMITS commits into stores that are
# bounded (a bound of memory is 64 MB for ten million, less for fewer).
SOAK_COMMITS ?= 10000000
LOAD_TIME    ?= 1h
soak: fuzz mutants
	@SOAK=1 $(GO) test -timeout 2h -run TestPairs ./stack/tcp
	@SOAK=1 $(GO) test -timeout 60m -v ./internal/wiresuite
	@SOAK=1 LOAD_TIME='$(LOAD_TIME)' $(GO) test -timeout 3h -v -run TestLoad ./stack
	@SOAK=1 $(GO) test -timeout 30m -run 'TestEveryHistory|TestLongHistories' ./arp/versioned ./vcs/vcstest
	@SOAK=1 SOAK_COMMITS='$(SOAK_COMMITS)' $(GO) test -timeout 5h -v -run 'TestFlatMemory|TestDiskBudget' ./bench
	@SOAK=1 $(GO) test -timeout 30m -run TestFindObjectsFarBack ./vcs
	@SOAK=1 $(GO) test -timeout 30m -run 'TestRecallAndPrecision' ./arp/observe
	@SOAK=1 $(GO) test -timeout 30m -run 'TestCrashAtEachChange|TestFileFaults' ./vcs/archive
	@SOAK=1 $(GO) test -timeout 3h -v -run 'TestImages|TestDamagedRecords|TestFileFaults' ./vcs/badger ./vcs/gitremote ./vcs/mem

# Each fuzz target for FUZZTIME; a crash is written to the package's testdata.
FUZZTIME ?= 30s
fuzz:
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
		done; done

# docs/rfc-coverage.md says which test proves which clause of which RFC. The
# clauses are data, and so is how each is disabled: internal/rfc/clauses.
rfc-coverage:
	@$(GO) run ./internal/rfc

mutants:
	@$(GO) run ./internal/rfc -mutants -only '$(ONLY)'

# The registry of https://standards-oui.ieee.org as text files; Debian's package
# ieee-data has them here.
OUI ?= /usr/share/ieee-data
vendors:
	@$(GO) run ./internal/mkvendors -out arp/vendors/registry.bin '$(OUI)'

demo: $(BUILD)/arpeggio
	@$(BUILD)/arpeggio demo --out demo_results

clean:
	rm -rf $(BUILD) test_results demo_results
