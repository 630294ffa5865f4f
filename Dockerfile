# An image that trains and translates on a CPU, as a user without privileges:
#
#     docker build -t nmt .
#     docker run -i -v "$PWD/model:/model:ro" nmt translate /model < input.txt
#
# For a GPU: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 -t nmt:gpu .
FROM python:3.11-slim-bookworm

# The engine compiles its kernels when they are first used; without gcc everything works, but slower.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 nmt

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY recipes recipes
COPY corpora corpora
COPY nmt nmt
RUN pip install --no-cache-dir --constraint constraints.txt --extra-index-url "$TORCH_INDEX" ".[fast,plot,serve]"

USER 1000
WORKDIR /home/nmt
ENTRYPOINT ["nmt"]
CMD ["--help"]
