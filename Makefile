# Short names for the README's commands; nothing here is needed to use Easel.
BIN = .venv/bin
SOURCES = pyproject.toml

.PHONY: demo test check format clean

demo: .venv/demo
	$(BIN)/easel demo

test: .venv/test
	$(BIN)/pytest

check: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict bot engine
	$(BIN)/lint-imports
	$(BIN)/pytest

format: .venv/test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/%: $(SOURCES)
	python3 -m venv .venv
	$(BIN)/pip install -q -e '.[$*]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
