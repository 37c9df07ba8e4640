.PHONY: check test slow faults uncertainty smoke bench

check:            ## lint, format, types
	ruff check .
	ruff format --check .
	mypy

test:             ## the whole fast suite, on both cores
	pytest

slow:             ## the minutes-long tests
	pytest -m slow

faults:           ## what goes wrong, caused for real: writes docs/reliability.md
	pytest tests -m fault --fault-matrix=docs/reliability.md

uncertainty:      ## how often intervals cover and verdicts err: writes docs/uncertainty.md
	python -m benchmarks.uncertainty > docs/uncertainty.md

smoke:            ## the main job in about a minute
	python runner.py --suite deblur --tier smoke --out runs/smoke

bench:            ## speed, as ratios measured in one run
	python benchmarks/motion_blur.py
	python -m benchmarks.metrics
	python benchmarks/harness.py
	python benchmarks/gan_step.py
	python benchmarks/geometry_score.py
