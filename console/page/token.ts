const key = 'lamina-token'

/** The user's token, for as long as the tab is open. */
export const tokenStore = {
  get: (): string | undefined => sessionStorage.getItem(key) ?? undefined,
  set: (token: string): void => sessionStorage.setItem(key, token),
  forget: (): void => sessionStorage.removeItem(key),
}
