/** The form of generated/schemas.json. */
export interface SchemaData {
  /** The package the file was generated from. */
  source: string;
  /**
   * By name, such as `core/v1.Container`. A field's type is one of: string, bool, int32, int64, float64, bytes (base64), time, microtime,
   * quantity, intorstr, any (any JSON), the name of a type, or `[]` or `map[string]` before one of these.
   */
  types: Record<string, TypeSchema>;
}

export interface TypeSchema {
  fields: Record<string, string>;
  required?: string[];
}
