# Two stages: the first installs into /opt/easel, the second holds only that. Needs no BuildKit features.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# The locked dependencies first, so that a change of the code installs nothing again. For NVIDIA: --build-arg TORCH=cuda
ARG TORCH=cpu
WORKDIR /src
COPY pyproject.toml install.py requirements.lock ./
RUN python install.py run --torch "$TORCH" --venv /opt/easel --only-dependencies
ENV PATH=/opt/easel/bin:$PATH

COPY README.md LICENSE ./
COPY migrations ./migrations
COPY engine ./engine
COPY bot ./bot
RUN pip install --no-deps --no-build-isolation .

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
