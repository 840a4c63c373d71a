const binary = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 }
const decimal = { n: 1e-9, u: 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 }
const factors: ReadonlyMap<string, number> = new Map(Object.entries({ '': 1, ...binary, ...decimal }))

/** Bytes of a Kubernetes quantity (`1Gi`, `1.5G`, `1e9`), rounded up as the API server does. */
export const parseQuantity = (text: string): number => {
  const [, number, suffix = ''] = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)$/.exec(text) ?? []
  const factor = factors.get(suffix)
  if (number === undefined || factor === undefined) throw new Error(`"${text}" is not a quantity such as 1Gi`)
  return Math.ceil(Number(number) * factor)
}

/** Bytes as a quantity that says them exactly, in the largest unit that can: `1Gi`, `1025Mi`, `1000`. */
export const formatQuantity = (bytes: number): string => {
  const [unit, factor] = Object.entries(binary).findLast(([, each]) => bytes > 0 && bytes % each === 0) ?? ['', 1]
  return `${bytes / factor}${unit}`
}

/** Bytes in words for people, rounded up: `33 MiB`. */
export const mebibytes = (bytes: number): string => `${Math.ceil(bytes / binary.Mi)} MiB`
