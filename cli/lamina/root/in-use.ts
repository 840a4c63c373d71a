import { Refusal } from '../../shared/refusal.ts'

/** Another has the image or the overlay, in a way that excludes this one. */
export const inUse = (shown: string, access: 'ReadWrite' | 'ReadOnly'): Refusal =>
  new Refusal(
    access === 'ReadWrite'
      ? `can't open ${shown} for writing, currently in use by another process`
      : `can't open ${shown} for reading, currently in use for writing by another process`,
  )
