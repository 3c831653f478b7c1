# PyTorch, the other dependencies and Easel are three layers: an update of Easel is small. Needs no BuildKit features.
#   docker build .                                  for processors
#   docker build --build-arg TORCH=cuda .           for NVIDIA: driver 580 or newer (CUDA 13.0), cards from RTX 20xx, GTX 16xx
#   docker build --build-arg TORCH=rocm7.2 .        for AMD: any build that PyTorch has can be named so
# PYTHON may carry a digest, as the released images do: --build-arg PYTHON=python:3.11-slim@sha256:...
ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS torch
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
ARG TORCH=cpu
WORKDIR /src
COPY install.py requirements.lock ./
# the environment finds the other two layers by their folders
RUN python install.py run --torch "$TORCH" --venv /opt/easel --only torch \
    && for packages in /opt/easel/lib/python3*/site-packages; do \
         printf '/opt/packages\n/opt/app\n' > "$packages/layers.pth"; \
       done

FROM torch AS packages
RUN python install.py run --venv /opt/easel --only dependencies --target /opt/packages
COPY pyproject.toml README.md LICENSE ./
COPY migrations ./migrations
COPY engine ./engine
COPY bot ./bot
RUN /opt/easel/bin/python -m pip install --quiet --no-deps --no-build-isolation --target /opt/app .

FROM ${PYTHON}
# Every user may write to /data, so `--user` can be any; what Easel writes there is readable by that user only.
RUN groupadd --gid 10001 easel \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin easel \
    && mkdir /data /models \
    && chown 10001:10001 /data \
    && chmod 1777 /data
COPY --from=torch /opt/easel /opt/easel
COPY --from=packages /opt/packages /opt/packages
COPY --from=packages /opt/app /opt/app

# Everything that is written goes to /data (and /tmp), so the root file system may be read-only.
ENV PATH=/opt/app/bin:/opt/easel/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    USER=easel \
    HF_HOME=/data/hub \
    EASEL_DATA_DIR=/data
WORKDIR /data
VOLUME /data
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=180s --retries=3 CMD ["easel", "doctor", "--health"]
ENTRYPOINT ["easel"]
CMD ["run"]
