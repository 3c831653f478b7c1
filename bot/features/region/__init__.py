"""/inpaint: choosing a region of a picture, by cells, words, files or in the browser."""
