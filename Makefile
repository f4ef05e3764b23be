# Everything a user or developer of the collection runs; `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
COLLECTIONS := .build/collections
LINK := $(COLLECTIONS)/ansible_collections/nanoagent/k8s
EBPF := files/ebpf
BINARIES := $(foreach arch,amd64 arm64,$(EBPF)/bin/collector-linux-$(arch) $(EBPF)/bin/collector-linux-$(arch).gz)
EBPF_SOURCES := $(shell find $(EBPF) -name '*.go' -o -name '*.o' -o -name 'go.*' | grep -v /bin/)
MONITOR := files/monitor
MONITOR_BINARIES := $(foreach arch,amd64 arm64,$(MONITOR)/bin/monitor-linux-$(arch) $(MONITOR)/bin/monitor-linux-$(arch).gz)
MONITOR_SOURCES := $(shell find $(MONITOR) -name '*.go' -o -name 'go.*' | grep -v /bin/)

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/$(COLLECTIONS)
export ANSIBLE_LOCALHOST_WARNING := false
# Thousands of tests are compiled once, not at each run.
unexport PYTHONDONTWRITEBYTECODE
export ANSIBLE_INVENTORY_UNPARSED_WARNING := false

.PHONY: help demo test beside-lint go-tests on-cluster unit loopback scores matrix integration molecule lint sanity collector monitor bpf build cluster-up cluster-down bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/ready $(LINK) $(BINARIES) ## install on a local three-node Kubernetes (or on KUBECONFIG= with REGISTRY=) and show what the agent sees
	@$(PYTHON) tests/demo

test: $(VENV)/ready $(LINK) ## all tests: linters, unit tests, judges of the manifests, tests on a real cluster
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=line lint beside-lint
	@$(MAKE) --no-print-directory on-cluster

beside-lint: # most linters use one processor
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory loopback
	@$(MAKE) --no-print-directory scores
	@$(MAKE) --no-print-directory go-tests
	@$(MAKE) --no-print-directory cluster-up

unit: $(VENV)/ready $(LINK) ## unit tests of the collection: offline, seconds
	@$(PYTHON) -m pytest -q -n 2 -m "not loopback" tests/unit

loopback: $(VENV)/ready $(LINK) ## images and requests against servers of the tests' own, with faults: offline, a minute
	@$(PYTHON) -m pytest -q -n 4 -m loopback tests/unit

scores: $(VENV)/ready $(LINK) ## what kube-score and checkov find in the rendered manifests
	@$(PYTHON) tests/tools/scores.py

matrix: $(LINK) ## unit tests with ansible-core 2.16, 2.17, 2.18 and 2.19
	@tests/tools/matrix.sh

integration: go-tests on-cluster ## the collector's and the monitor's own tests, tests on the local cluster, the molecule scenario

go-tests: $(VENV)/ready $(BINARIES) $(MONITOR_BINARIES)
	@tests/tools/packages.sh
	@for program in $(EBPF) $(MONITOR); do $(MAKE) --no-print-directory -C $$program vet test GO="$$($(PYTHON) tests/tools/find_go.py)" || exit 1; done

on-cluster: $(VENV)/ready $(LINK) $(BINARIES) $(MONITOR_BINARIES) cluster-up
	@tests/tools/integration.sh

molecule: $(VENV)/ready $(LINK) $(BINARIES) ## the molecule scenario `default`
	@cd extensions && $(CURDIR)/$(VENV)/bin/molecule test

lint: $(VENV)/ready $(LINK) ## ruff, ansible-lint (production), documentation, changelog, go vet, clang
	@tests/tools/lint.sh

sanity: $(VENV)/ready ## ansible-test sanity, in a virtual environment, without ignore files
	@tests/tools/sanity.sh

collector: $(BINARIES) ## the collector's binaries for amd64 and arm64

$(BINARIES) &: $(EBPF_SOURCES) | $(VENV)/ready
	@echo "Building the collector for amd64 and arm64 ..."
	@$(MAKE) --no-print-directory -C $(EBPF) build GO="$$($(PYTHON) tests/tools/find_go.py)"
	@$(PYTHON) tests/tools/notices.py "$$($(PYTHON) tests/tools/find_go.py)" $(EBPF)

monitor: $(MONITOR_BINARIES) ## the cluster monitor's binaries for amd64 and arm64

$(MONITOR_BINARIES) &: $(MONITOR_SOURCES) | $(VENV)/ready
	@echo "Building the cluster monitor for amd64 and arm64 ..."
	@$(MAKE) --no-print-directory -C $(MONITOR) build GO="$$($(PYTHON) tests/tools/find_go.py)"
	@$(PYTHON) tests/tools/notices.py "$$($(PYTHON) tests/tools/find_go.py)" $(MONITOR)

bpf: ## the collector's eBPF objects, with clang 14
	@$(MAKE) --no-print-directory -C $(EBPF) bpf

build: $(VENV)/ready $(BINARIES) $(MONITOR_BINARIES) ## the collection's archive for ansible-galaxy collection install
	@$(VENV)/bin/ansible-galaxy collection build --force --output-path .build

cluster-up: $(VENV)/ready ## start the local Kubernetes, unless KUBECONFIG and REGISTRY name another
	@[ -n "$$KUBECONFIG" ] && [ -n "$$REGISTRY" ] || $(PYTHON) tests/cluster up

cluster-down: $(VENV)/ready ## stop the local Kubernetes and leave nothing behind
	@$(PYTHON) tests/cluster down

bench: $(VENV)/ready $(LINK) $(BINARIES) cluster-up ## measure against peers
	@for what in install image mirror collector verify; do $(PYTHON) tests/bench $$what || exit 1; done

clean: ## remove what was built; stops the local Kubernetes first
	@[ ! -x $(PYTHON) ] || $(PYTHON) tests/cluster down
	@rm -rf .build $(EBPF)/bin $(MONITOR)/bin tests/output .ansible
	@rm -rf $(VENV)

$(VENV)/ready: tests/requirements.txt requirements.txt
	@tests/tools/venv.sh $(VENV)

$(LINK):
	@mkdir -p $(dir $@) && ln -sfn ../../../.. $@
