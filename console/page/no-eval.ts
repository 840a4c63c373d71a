import { config } from 'zod'

/** Before any schema is made: otherwise zod would try to make code from text, which the page's policy forbids. */
config({ jitless: true })
