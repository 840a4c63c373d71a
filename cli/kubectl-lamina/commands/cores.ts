const parts: Readonly<Record<string, number>> = { n: 1e-9, u: 1e-6, m: 1e-3, '': 1 }

/** Cores of a Kubernetes quantity: `250m`, `12n`, `2`. */
export const coresOf = (text: string): number => {
  const [, count = '', suffix = ''] = /^([0-9.]+)([num]?)$/.exec(text) ?? []
  return Number(count) * (parts[suffix] ?? Number.NaN)
}
