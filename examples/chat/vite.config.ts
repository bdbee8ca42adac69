/** Builds the page into `dist`: scripts and styles in files of their own, as its Content Security Policy demands. */
import { defineConfig } from "vite"

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  build: { outDir: "dist", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: false }
})
