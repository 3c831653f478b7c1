"""Other people's engines, each a model of Easel's: ComfyUI's workflows, and services with OpenAI's images API."""
