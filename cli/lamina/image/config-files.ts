/** In an image that was made here: its OCI configuration, for a root that may have no shell. */
export const configPath = '/.singularity.d/lamina.json'
