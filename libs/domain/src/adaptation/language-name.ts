const NAMES = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' });

/** Tags that name no language that anybody speaks. */
const NO_LANGUAGES: readonly string[] = ['mul', 'zxx'];

/**
 * The English name of a BCP 47 tag's language, with script and region where these are known; null
 * for what is no tag, or names no known language. Nothing of the tag itself is in it.
 */
export function languageName(tag: string): string | null {
  const locale = readLocale(tag);
  if (locale === null || NO_LANGUAGES.includes(locale.language)) return null;
  const { language, script, region } = locale;
  const whole = [language, script, region].filter((part) => part !== undefined).join('-');
  return NAMES.of(whole) ?? NAMES.of(language) ?? null;
}

function readLocale(tag: string): Intl.Locale | null {
  try {
    return new Intl.Locale(tag);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
