# Two stages: the first installs into /opt/easel, the second holds only that. Needs no BuildKit features.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/easel
ENV PATH=/opt/easel/bin:$PATH

# PyTorch first: it is large and changes seldom. For NVIDIA: --build-arg TORCH_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple torch==2.13.0

# Then the other dependencies, so that a change of the code installs nothing again.
WORKDIR /src
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && pip install -r requirements.txt

COPY README.md LICENSE ./
COPY migrations ./migrations
COPY engine ./engine
COPY bot ./bot
RUN pip install --no-deps .

FROM python:3.11-slim
RUN groupadd --gid 10001 easel \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin easel \
    && mkdir /data \
    && chown 10001:10001 /data
COPY --from=build /opt/easel /opt/easel

# Everything that is written goes to /data (and /tmp), so the root file system may be read-only.
ENV PATH=/opt/easel/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    HF_HOME=/data/hub \
    EASEL_DATA_DIR=/data
WORKDIR /data
VOLUME /data
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 CMD ["easel", "doctor", "--health"]
ENTRYPOINT ["easel"]
CMD ["run"]
