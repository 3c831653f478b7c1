# Short names for the README's commands; nothing here is needed to use Easel.
BIN = .venv/bin
SOURCES = pyproject.toml requirements.lock install.py

.PHONY: demo test check format messages lock clean

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
	python3 install.py $*
	touch $@

messages: .venv/test # finds new sentences and puts them into the catalogues, to be translated there
	$(BIN)/python -m tests.languages.collecting

lock: # the newest versions that pyproject.toml allows; run the tests before you commit it
	python3 -m venv build/uv && build/uv/bin/pip install -q uv && build/uv/bin/python install.py lock

clean:
	rm -rf .venv build dist *.egg-info
